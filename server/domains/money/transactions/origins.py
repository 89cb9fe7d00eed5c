"""Rows of banks, as transactions know those who bring them: syncs, and imports."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from server.domains.money.transactions.model import Origin, Transaction
from server.storage.driver import ClientSession


@dataclass(frozen=True, slots=True)
class RowTakenBack:
    """A row of a bank that is a transaction again, which was deleted."""

    transaction_id: str
    origin: Origin
    is_there: bool  # the bank still reports it


class OriginMemory(Protocol):
    """Rows of banks that became transactions, which outlive them."""

    async def forget(
        self, owner: str, transaction_ids: Sequence[str], session: ClientSession
    ) -> None:
        """Let a sync or an import bring the rows of these back, as other transactions."""

    async def successors(
        self, owner: str, transaction_ids: Sequence[str], session: ClientSession
    ) -> Sequence[str]:
        """The transactions that rows of these are by now; they may have been deleted, too."""

    async def take_back(
        self, owner: str, transaction_ids: Sequence[str], session: ClientSession
    ) -> Sequence[RowTakenBack]:
        """Let the rows of these that have come back, or may come back, be these again."""


def with_rows(one: Transaction, taken: Iterable[RowTakenBack]) -> Transaction:
    """With the origins of the rows that it is again, and without those of rows that a bank has withdrawn."""
    rows = [each for each in taken if each.transaction_id == one.id]
    kept = [each for each in one.origins if all(each != row.origin for row in rows)]
    return replace(one, origins=(*kept, *(row.origin for row in rows if row.is_there)))
