"""A transaction after a change of it: pure, once the facts are known."""

from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET
from msgspec.structs import replace

from server.core import money
from server.core.errors import InvalidRequest
from server.domains.money.transactions.errors import TransactionLinked, TransactionReconciled
from server.domains.money.transactions.facts import Facts, foreign_amount, positive_units
from server.domains.money.transactions.kinds import direction_of, kind_for
from server.domains.money.transactions.model import (
    TRANSFER,
    Direction,
    Kind,
    Part,
    Transaction,
    Update,
)
from server.domains.money.transactions.splits import FIELD as SPLITS
from server.domains.money.transactions.splits import check_sum, parts_of

# Fields that a change only carries over.
_PLAIN = (
    "description", "payee", "notes", "tags", "status", "excluded", "occurred_at", "external_id", "refund_of",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edited:
    """A transaction after a change, and the other leg of its transfer where that changes, too."""

    after: Transaction
    other: Transaction | None = None


class Edit:
    """One change of one transaction; `other` is the other leg of its transfer."""

    def __init__(
        self, update: Update, before: Transaction, other: Transaction | None, facts: Facts
    ) -> None:
        self._changes = update.changes
        self._unlock = update.unlock
        self._before = before
        self._other = other
        self._facts = facts

    def made(self, *, rev: int, now: datetime, transfer_id: str) -> Edited:
        """`transfer_id` is of what becomes a transfer.

        Raises InvalidRequest, AccountNotFound, AccountArchived, CategoryNotFound, TransactionLinked,
        TransactionReconciled.
        """
        before, changes = self._before, self._changes
        account_id = self._account_id()
        currency = self._facts.account(account_id).currency
        units = self._units(currency)
        kind = self._kind()
        direction = self._direction(kind)
        category_id, parts = self._categories(kind, units, currency)
        plain = {name: value for name in _PLAIN if (value := getattr(changes, name)) is not UNSET}
        after = replace(
            before,
            rev=rev,
            updated_at=now,
            account_id=account_id,
            kind=kind,
            direction=direction,
            units=units,
            day=before.day if changes.day is UNSET else changes.day,
            category_id=category_id,
            parts=parts,
            **plain,
        )
        if changes.foreign is not UNSET:
            given = changes.foreign
            after = replace(after, foreign=None if given is None else foreign_amount(given))
        after = self._with_refund(after)
        self._check_lock(before, after)
        return self._with_transfer(after, transfer_id)

    def _account_id(self) -> str:
        sent = self._changes.account_id
        if sent is UNSET or sent == self._before.account_id:
            return self._before.account_id
        if self._other is not None and sent == self._other.account_id:
            raise InvalidRequest.of("accountId", "must not be the account of the other leg")
        return self._facts.open_account(sent).id

    def _units(self, currency: str) -> int:
        """The units in the currency of the account, which may be another one than before."""
        before, sent = self._before, self._changes.amount
        has_moved = self._facts.account(before.account_id).currency != currency
        if has_moved and before.is_linked:
            raise TransactionLinked
        if sent is UNSET:
            if has_moved:
                raise InvalidRequest.of(
                    "accountId", f"is in {currency}: send the amount in it, too"
                )
            return before.units
        units = positive_units(sent, currency, "amount")
        if units != before.units and before.is_linked:
            raise TransactionLinked
        return units

    def _kind(self) -> Kind:
        before, changes = self._before, self._changes
        if changes.kind is not UNSET:
            return changes.kind
        if changes.category_id is UNSET or changes.category_id is None:
            return before.kind
        found = self._facts.category_type(changes.category_id)
        direction = before.direction if changes.direction is UNSET else changes.direction
        return kind_for(before.kind, direction, found)

    def _direction(self, kind: Kind) -> Direction:
        before, sent = self._before, self._changes.direction
        direction = direction_of(kind, None if sent is UNSET else sent, before.direction)
        if direction == before.direction:
            return direction
        if self._other is not None and kind == TRANSFER:
            raise InvalidRequest.of("direction", "cannot turn in a transfer with a counterpart")
        # A row of which the bank did not say where the money went waits for the user to say so.
        is_unconfirmed = before.kind == "adjustment" and before.status == "pending"
        if before.is_linked and not is_unconfirmed:
            field = "kind" if sent is UNSET else "direction"
            raise InvalidRequest.of(field, f"would turn the direction, which is {before.direction}")
        return direction

    def _categories(
        self, kind: Kind, units: int, currency: str
    ) -> tuple[str | None, tuple[Part, ...]]:
        """The category or the parts after the change."""
        before, changes, facts = self._before, self._changes, self._facts
        category_sent, parts_sent = changes.category_id is not UNSET, changes.parts is not UNSET
        if category_sent and changes.category_id is not None and parts_sent and changes.parts:
            raise InvalidRequest.of(SPLITS, "must be left out, or categoryId must")
        if changes.parts is not UNSET and changes.parts:
            return None, parts_of(changes.parts, units, currency, kind, facts)
        if changes.category_id is not UNSET and changes.category_id is not None:
            facts.check_category(changes.category_id, kind, "categoryId")
            return changes.category_id, ()
        if kind in {TRANSFER, "adjustment"}:  # which have none; one that was there goes
            return None, ()
        category_id = None if category_sent else before.category_id
        parts = () if parts_sent else before.parts
        if kind != before.kind:
            facts.check_category(category_id, kind, "categoryId")
            for index, part in enumerate(parts):
                facts.check_category(part.category_id, kind, f"{SPLITS}[{index}].categoryId")
        check_sum(parts, units, currency)
        return category_id, parts

    def _with_refund(self, after: Transaction) -> Transaction:
        """Only a refund says of what it is one."""
        if after.kind == "refund" or after.refund_of is None:
            return after
        if self._changes.refund_of is not UNSET:
            raise InvalidRequest.of("refundOf", "must be left out: only a refund has it")
        return replace(after, refund_of=None)

    def _check_lock(self, before: Transaction, after: Transaction) -> None:
        """Raises TransactionReconciled if what a statement has shown would change."""
        locked = ("units", "day", "account_id", "kind", "direction")
        if not before.is_reconciled or self._unlock:
            return
        if any(getattr(before, name) != getattr(after, name) for name in locked):
            raise TransactionReconciled

    def _with_transfer(self, after: Transaction, transfer_id: str) -> Edited:
        """The transfer and its other leg after the change."""
        other = self._other
        if after.kind != TRANSFER:
            alone = replace(after, transfer_id=None, counterpart_id=None)
            parted = None if other is None else self._touched(other.alone(), after)
            return Edited(alone, parted)
        if after.transfer_id is None:
            after = replace(after, transfer_id=transfer_id)
        if other is None:
            return Edited(after.alone())  # also if that went with its account
        currency = self._facts.account(after.account_id).currency
        if currency != self._facts.account(other.account_id).currency or after.units == other.units:
            return Edited(after)
        if after.units == self._before.units:
            text = money.text(other.units, currency)
            raise InvalidRequest.of("amount", f"must be {text}, as that of the other leg")
        if other.is_linked:
            raise TransactionLinked
        if other.is_reconciled and not self._unlock:
            raise TransactionReconciled
        return Edited(after, self._touched(replace(other, units=after.units), after))

    def _touched(self, other: Transaction, after: Transaction) -> Transaction:
        return replace(other, rev=after.rev, updated_at=after.updated_at)
