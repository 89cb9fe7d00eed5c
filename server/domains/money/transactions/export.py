"""All transactions of a user, for the user's export."""

from collections.abc import AsyncGenerator
from dataclasses import replace

from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.transactions.model import Wanted
from server.domains.money.transactions.shown import Shown
from server.domains.money.transactions.views import ListRequest, TransactionViews
from server.kernel import Exported, UserExporter, Users

_PAGE = 500


class TransactionExport(UserExporter):
    def __init__(self, views: TransactionViews, users: Users) -> None:
        self._views = views
        self._users = users

    async def export(self, user_id: str) -> AsyncGenerator[Exported, None]:
        """Oldest first. Those that were deleted are not among them."""
        owner = MoneyOwner(await self._users.identity(user_id), user_id)
        request = ListRequest(Wanted(oldest_first=True), limit=_PAGE)
        while True:
            page = await self._views.page(owner, request)
            for each in page.items:
                if isinstance(each, Shown):
                    yield "transaction", each
            if page.next_page_token is None:
                return
            request = replace(request, page_token=page.next_page_token)
