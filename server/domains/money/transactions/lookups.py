"""Questions that a change of transactions asks about accounts and categories before it decides."""

from collections.abc import Collection, Iterable

from server.core.errors import InvalidRequest
from server.domains.money.accounts.errors import AccountNotFound
from server.domains.money.accounts.store import AccountStore
from server.domains.money.categories.store import CategoryStore
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.transactions.errors import TransactionNotFound
from server.domains.money.transactions.facts import AccountFacts, Facts
from server.domains.money.transactions.model import Transaction
from server.domains.money.transactions.work import Work
from server.storage.driver import ClientSession


class Lookups:
    def __init__(self, accounts: AccountStore, categories: CategoryStore) -> None:
        self._accounts = accounts
        self._categories = categories

    async def accounts(
        self,
        owner: str,
        session: ClientSession | None = None,
        ids: Collection[str] | None = None,
    ) -> dict[str, AccountFacts]:
        """All accounts of a user, or those of these ids, that are there."""
        found = await self._accounts.of(owner, session, None if ids is None else list(ids))
        return {each.id: AccountFacts(each.id, each.currency, each.archived) for each in found}

    async def facts(
        self,
        change: LedgerChange,
        account_ids: Iterable[str | None],
        category_ids: Iterable[str | None],
    ) -> Facts:
        """The known ones of these; a category that was merged is not there any more."""
        accounts = {each for each in account_ids if each is not None}
        categories = {each for each in category_ids if each is not None}
        found = await self.accounts(change.owner, change.session, accounts) if accounts else {}
        types = {}
        if categories:
            known = await self._categories.of(change.owner, change.session, list(categories))
            types = {each.id: each.type for each in known}
        return Facts(found, types)

    async def with_children(
        self, owner: str, category_ids: Collection[str], session: ClientSession | None = None
    ) -> set[str]:
        """These categories and those below them."""
        wanted = set(category_ids)
        known = await self._categories.of(owner, session)
        return wanted | {each.id for each in known if each.parent_id in wanted}


def check_refund(transaction: Transaction, work: Work) -> None:
    """Raises TransactionNotFound, InvalidRequest unless a refund is of an own expense."""
    if transaction.refund_of is None:
        return
    refunded = work.find(transaction.refund_of)
    if refunded is None:
        raise TransactionNotFound.about("refundOf")
    if refunded.kind != "expense" or refunded.id == transaction.id:
        raise InvalidRequest.of("refundOf", "must be an expense, and another transaction")


def check_known(transaction: Transaction, facts: Facts) -> None:
    """Raises TransactionNotFound for one of an account that was deleted: it is about to be erased."""
    try:
        facts.account(transaction.account_id)
    except AccountNotFound:
        raise TransactionNotFound from None
