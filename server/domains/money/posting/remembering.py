"""Lets rows of deleted transactions come back if their user says so, and never as two transactions."""

from collections.abc import Sequence

from server.domains.money.posting.model import SOURCE
from server.domains.money.posting.store import OriginStore
from server.domains.money.transactions.model import Origin
from server.domains.money.transactions.origins import OriginMemory, RowTakenBack
from server.kernel import RecordFeed
from server.storage.driver import ClientSession


class Remembering(OriginMemory):
    """Driver errors pass through."""

    def __init__(self, origins: OriginStore, feed: RecordFeed) -> None:
        self.origins = origins
        self._feed = feed

    async def forget(
        self, owner: str, transaction_ids: Sequence[str], session: ClientSession
    ) -> None:
        """All rows of their connectors come again; those that are there stay as they are."""
        for connector_id in await self.origins.forget(owner, transaction_ids, session):
            await self._feed.ask_again(connector_id, session)

    async def successors(
        self, owner: str, transaction_ids: Sequence[str], session: ClientSession
    ) -> Sequence[str]:
        return await self.origins.successors(owner, transaction_ids, session)

    async def take_back(
        self, owner: str, transaction_ids: Sequence[str], session: ClientSession
    ) -> Sequence[RowTakenBack]:
        taken = await self.origins.take_back(owner, transaction_ids, session)
        return [
            RowTakenBack(each.transaction_id, Origin(SOURCE, each.connector_id), each.is_there)
            for each in taken
        ]

    async def erase(self, owner: str, account_id: str) -> None:
        """Rows of an account that is erased may come back, if their stream flows into another one by then."""
        for connector_id in await self.origins.erase_of_account(owner, account_id):
            await self._feed.ask_again(connector_id)
