"""The part of a transaction that is sealed: what a person or a bank wrote, and every amount.

It is an array, so that it is short; new fields come at its end and have a default. Ids are bytes, times are
milliseconds.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from server.domains.money.transactions.model import Foreign, Origin, Part, Transaction

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MANUAL = (Origin("manual"),)


class SealedPart(msgspec.Struct, frozen=True, array_like=True):
    units: int
    category: int  # its place among the document's categories
    description: str | None = None


class SealedTransaction(msgspec.Struct, frozen=True, array_like=True):
    units: int
    created_at: int
    updated_at: int
    description: str | None = None
    payee: str | None = None
    notes: str | None = None
    bank_text: str | None = None
    parts: tuple[SealedPart, ...] | None = None
    tags: tuple[str, ...] | None = None
    excluded: bool | None = None
    foreign: Foreign | None = None
    occurred_at: int | None = None
    refund_of: bytes | None = None
    counterpart_id: bytes | None = None
    origins: tuple[Origin, ...] | None = None  # None: typed by hand
    external_id: str | None = None

    @property
    def texts(self) -> tuple[str | None, ...]:
        """The texts that a search looks through."""
        return self.description, self.payee, self.notes, self.bank_text


def sealed_part(transaction: Transaction, categories: Sequence[str | None]) -> SealedTransaction:
    """`categories` are those that the document has in plain."""
    t = transaction
    return SealedTransaction(
        units=t.units,
        created_at=_milliseconds(t.created_at),
        updated_at=_milliseconds(t.updated_at),
        description=t.description,
        payee=t.payee,
        notes=t.notes,
        bank_text=t.bank_text,
        parts=tuple(
            SealedPart(part.units, categories.index(part.category_id), part.description)
            for part in t.parts
        )
        or None,
        tags=t.tags or None,
        excluded=t.excluded or None,
        foreign=t.foreign,
        occurred_at=None if t.occurred_at is None else _milliseconds(t.occurred_at),
        refund_of=_bytes(t.refund_of),
        counterpart_id=_bytes(t.counterpart_id),
        origins=None if t.origins == _MANUAL else t.origins,
        external_id=t.external_id,
    )


def part(sealed: SealedPart, categories: Sequence[str | None]) -> Part:
    return Part(sealed.units, categories[sealed.category], sealed.description)


def origins(sealed: SealedTransaction) -> tuple[Origin, ...]:
    return _MANUAL if sealed.origins is None else sealed.origins


def time_of(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def hex_of(identifier: bytes | None) -> str | None:
    return None if identifier is None else identifier.hex()


def _bytes(identifier: str | None) -> bytes | None:
    return None if identifier is None else bytes.fromhex(identifier)


def _milliseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(milliseconds=1)
