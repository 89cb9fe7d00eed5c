"""Connectors of which something waits to be posted: collection `record_postings`, one document a connector.

It is written in the transaction that stores what waits. `posting/store.py` hands it out.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from server.core.clock import utc_now
from server.domains.connectors.records.writes import POSTED_TYPE
from server.storage.driver import ClientSession, Database

POSTINGS = "record_postings"
DUE, LEASED, FENCE = "dueAt", "leasedAt", "fence"
FAILING = "failingSince"  # of one whose posting has failed and is tried again
ERASED, VALUED, MARKING = "erased", "valued", "marking"
_HOLDINGS = "portfolio"


class PostingRequests:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._postings = database.collection(POSTINGS)

    async def note(
        self,
        records_id: str,
        data_type: str,
        session: ClientSession,
        *,
        stored: int,
        last: bool,
    ) -> None:
        """A run has stored so many records of a type, with `last` those at the end of it."""
        if data_type == POSTED_TYPE and stored:
            await self.ask(records_id, session)
        elif data_type == _HOLDINGS and last:
            await self.ask(records_id, session, {VALUED: True})

    async def ask(
        self,
        records_id: str,
        session: ClientSession | None,
        fields: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Make a connector due. One that is being worked on is looked at again before it ends."""
        due = {"$cond": [{"$ifNull": [f"${LEASED}", False]}, f"${DUE}", utc_now()]}
        await self._write(records_id, {DUE: due, **fields}, session)

    async def ask_again(self, records_id: str, session: ClientSession | None) -> None:
        """Have all records of a connector marked and posted as if they were new."""
        await self.ask(records_id, session, {MARKING: _plus_one(MARKING), VALUED: True})

    async def erased(self, records_id: str, session: ClientSession) -> None:
        """The records were erased; whoever works on the connector loses it."""
        taken = {DUE: utc_now(), LEASED: "$$REMOVE", FENCE: _plus_one(FENCE), "state": "$$REMOVE"}
        await self._write(records_id, {**taken, ERASED: True}, session)

    async def forget(self, records_ids: Sequence[str], session: ClientSession) -> None:
        """The connectors are gone."""
        names = [_connector_of(each) for each in records_ids]
        await self._postings.delete_many({"_id": {"$in": names}}, session=session)

    async def _write(
        self, records_id: str, fields: dict[str, Any], session: ClientSession | None
    ) -> None:
        name = _connector_of(records_id)
        await self._postings.update_one(
            {"_id": name}, [{"$set": fields}], upsert=True, session=session
        )


def _plus_one(path: str) -> dict[str, Any]:
    return {"$add": [{"$ifNull": [f"${path}", 0]}, 1]}


def _connector_of(records_id: str) -> str:
    return records_id.partition(".")[0]
