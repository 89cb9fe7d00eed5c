"""How far back deletions are remembered: collection `transaction_deletions`, a document a user.

Deleted transactions go after 30 days, and with them their place in lists of changes. The document has the
newest revision of a deletion by day: a caller who asks for changes since before one that is gone is sent
to list again, and nobody else.
"""

from datetime import date, datetime

from msgspec import Struct, convert

from server.domains.money.transactions.store import REMEMBERED
from server.storage.driver import ClientSession, Database
from server.storage.mapping import object_ids

DELETIONS = "transaction_deletions"


class _Deletions(Struct):
    lost: int = 0  # the newest revision of a deletion that may be forgotten
    days: dict[str, int] = {}  # by day in ISO form


class DeletionLog:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._deletions = database.collection(DELETIONS)

    async def add(self, owner: str, rev: int, now: datetime, session: ClientSession) -> None:
        """Something was deleted in a change of this revision, whose ledger is locked."""
        found = await self._find(owner, session)
        kept = {day: each for day, each in found.days.items() if not _is_past(day, now)}
        kept[now.date().isoformat()] = rev
        await self._deletions.update_one(
            {"_id": object_ids(owner)},
            {"$set": {"lost": _lost(found, now), "days": kept}},
            upsert=True,
            session=session,
        )

    async def is_forgotten(self, owner: str, since: int, now: datetime) -> bool:
        """Whether something was deleted after a revision and is not remembered any more."""
        return since < _lost(await self._find(owner), now)

    async def erase(self, owner: str) -> None:
        await self._deletions.delete_one({"_id": object_ids(owner)})

    async def _find(self, owner: str, session: ClientSession | None = None) -> _Deletions:
        document = await self._deletions.find_one({"_id": object_ids(owner)}, session=session)
        return convert(document or {}, _Deletions)


def _is_past(day: str, now: datetime) -> bool:
    """Whether what was deleted on a day may be gone: the whole day lies so far back or a part of it."""
    return date.fromisoformat(day) <= (now - REMEMBERED).date()


def _lost(found: _Deletions, now: datetime) -> int:
    return max([found.lost, *(rev for day, rev in found.days.items() if _is_past(day, now))])
