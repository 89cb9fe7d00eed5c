"""Erases what was made of records that a user had erased with their connector.

Transactions with another origin stay and lose the bank's part; the others go, with the memory of their rows,
so that connecting again brings them back. A transaction that the user had deleted loses its content and
stays deleted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from msgspec.structs import replace

from server.domains.money.posting.model import SOURCE
from server.domains.money.posting.store import OriginStore
from server.domains.money.transactions.model import Origin, Transaction
from server.domains.money.transactions.walks.store import TransactionWalks
from server.domains.money.transactions.work import Work

LIMIT = 200
Place: TypeAlias = tuple[date, str]


@dataclass(frozen=True, slots=True)
class Erased:
    """The outcome of a look through some."""

    gone: Sequence[str]  # to `hollow` once they are saved
    kept: int  # those that have another origin
    following: Place | None


class Erasing:
    """Driver errors pass through."""

    def __init__(self, walks: TransactionWalks, origins: OriginStore) -> None:
        self._walks = walks
        self._origins = origins

    async def erase_some(self, work: Work, connector_id: str, after: Place | None) -> Erased:
        change, source = work.change, Origin(SOURCE, connector_id)
        found = await self._walks.some(
            change.owner, after, LIMIT, change.box, change.resolved, change.session
        )
        ours = [each for each in found if source in each.origins]
        await work.load(each.id for each in ours)
        gone: list[str] = []
        kept = 0
        for each in ours:
            one = work.find(each.id)
            if one is None:
                continue
            left = tuple(origin for origin in one.origins if origin != source)
            if left:
                kept += 1
                work.replace(
                    replace(one, origins=left, bank_text=None, rev=change.rev, updated_at=work.now)
                )
            else:
                gone.append(one.id)
                _bury(work, one)
        await self._origins.remove(change.owner, gone, change.session)
        last = found[-1] if len(found) == LIMIT else None
        return Erased(gone, kept, None if last is None else (last.day, last.id))

    async def hollow(self, ids: Sequence[str], work: Work) -> None:
        if ids:
            await self._walks.hollow(ids, work.change.session)

    async def hollow_deleted(self, work: Work, connector_id: str, after: str | None) -> str | None:
        """The same for some that the user has deleted; gives the next place."""
        change, source = work.change, Origin(SOURCE, connector_id)
        found = await self._walks.some_deleted(
            change.owner, after, LIMIT, change.box, change.resolved, change.session
        )
        await self.hollow([each.id for each in found if source in each.origins], work)
        return found[-1].id if len(found) == LIMIT else None


def _bury(work: Work, one: Transaction) -> None:
    other = work.other(one)
    work.bury(one)
    if other is not None:
        work.replace(replace(other.alone(), rev=work.change.rev, updated_at=work.now))
