"""The poster's memory of streams, and how far it is with a connector."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal

import msgspec

from server.domains.money.ledger.month import Number

SOURCE: Literal["connector"] = "connector"  # of the transactions that it makes


class StreamState(msgspec.Struct, array_like=True):
    """The sealed part of a stream; new fields come at its end and have a default."""

    name: str
    institution: str
    currency: str
    platform: str
    settled: bool = False  # whether the opening balance is, which is done once
    chained: Number | None = None  # the newest balance of the chain of rows
    chained_on: str | None = None
    reported: Number | None = None  # by the house's holdings
    reported_on: str | None = None

    @property
    def newest(self) -> tuple[int, date] | None:
        """The balance that the bank reports, and of which day it is."""
        if self.reported is not None and self.reported_on is not None:
            return int(self.reported), date.fromisoformat(self.reported_on)
        if self.chained is not None and self.chained_on is not None:
            return int(self.chained), date.fromisoformat(self.chained_on)
        return None


class Stream(msgspec.Struct, kw_only=True):
    """One account at one house, and the account of the user's that it flows into."""

    id: bytes  # a token of connector and name
    connector_id: str
    account_id: str | None  # None: it is stopped
    moves_from: str | None = None  # the account whose rows of it are still to move
    state: StreamState


class Days(msgspec.Struct, array_like=True):
    """The first and the last day of what was posted, where transfers may be found."""

    since: date
    until: date

    def with_day(self, day: date) -> "Days":
        return Days(min(self.since, day), max(self.until, day))


class Progress(msgspec.Struct, omit_defaults=True):
    """How far the poster is with a connector, as the feed keeps it for the next worker."""

    days: Days | None = None

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Progress":
        return msgspec.convert(dict(stored), cls)

    @property
    def stored(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    def with_days(self, days: Sequence[date]) -> "Progress":
        found = self.days
        for day in days:
            found = Days(day, day) if found is None else found.with_day(day)
        return Progress(found)


class ValueMonth(msgspec.Struct, array_like=True):
    """The worth of an account on days of a month, in the order of days."""

    days: list[int]
    units: list[Number]


class Origin(msgspec.Struct, kw_only=True):
    """A row of a bank that became a transaction."""

    id: bytes
    transaction_id: str
    withdrawn: bool = False  # the transaction went because the bank reports the row no more
    forgotten: bool = False  # it was deleted, and its user lets the row come back

    @property
    def is_free(self) -> bool:
        """Whether the row becomes a transaction if it comes again."""
        return self.withdrawn or self.forgotten


class TakenBack(msgspec.Struct, frozen=True):
    """A row that is a transaction again, which was deleted."""

    transaction_id: str
    connector_id: str
    is_there: bool  # the bank still reports it
