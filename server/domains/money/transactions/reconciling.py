"""Compares accounts with statements."""

from dataclasses import dataclass
from datetime import date

from server.core import money
from server.core.clock import Clock
from server.core.errors import InvalidRequest
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.core.money import Money
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.ledger.changes import MoneyChanges
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.transactions.errors import ReconcileDifference
from server.domains.money.transactions.lookups import Lookups
from server.domains.money.transactions.model import Amount, Origin, Transaction
from server.domains.money.transactions.store import TransactionStore
from server.storage.repository import new_id

_FIELD = "statementBalance"
_MOST = (1 << 64) - 1  # units of a transaction


@dataclass(frozen=True, slots=True)
class Statement:
    account_id: str
    day: date
    balance: Amount
    adjust: bool = False


@dataclass(frozen=True, slots=True)
class Reconciliation:
    account_id: str
    statement_date: str
    balance: Money
    reconciled_count: int
    adjustment_id: str | None


class Reconciling:
    def __init__(
        self, changes: MoneyChanges, store: TransactionStore, lookups: Lookups, clock: Clock
    ) -> None:
        self._changes = changes
        self._store = store
        self._lookups = lookups
        self._clock = clock

    async def reconcile(
        self, owner: MoneyOwner, statement: Statement, reply: KeyedReply | None = None
    ) -> Reconciliation:
        """Raises AccountNotFound, AccountArchived, ReconcileDifference, InvalidRequest."""

        async def work(change: LedgerChange) -> Reconciliation:
            facts = await self._lookups.facts(change, [statement.account_id], [])
            account = facts.account(statement.account_id)
            balance = _parsed(statement.balance, account.currency)
            booked = await change.balance_on(account.id, statement.day)
            if booked is None:
                raise InvalidRequest.of("statementDate", "must not be before the opening date")
            difference = balance.units - booked
            if difference and not statement.adjust:
                raise ReconcileDifference.of(money.text(difference, account.currency))
            if difference:
                facts.open_account(account.id)  # the difference is a new transaction
            if abs(difference) > _MOST:
                raise InvalidRequest.of(f"{_FIELD}.value", "differs by more than can be booked")
            count = await change.reconcile(account.id, statement.day)
            await self._store.reconcile(
                owner.id, account.id, statement.day, change.rev, change.session
            )
            adjustment = None
            if difference:
                adjustment = self._adjustment(change, account.id, statement.day, difference)
                await self._store.insert([adjustment], change.box, change.session)
                change.post(None, adjustment.entry)
            return Reconciliation(
                account.id,
                statement.day.isoformat(),
                balance,
                count,
                adjustment.id if adjustment else None,
            )

        event = Event("account.reconciled", owner.user_id)
        return await self._changes.make(owner, work, lambda _: event, reply)

    def _adjustment(
        self, change: LedgerChange, account_id: str, day: date, difference: int
    ) -> Transaction:
        now = self._clock.now()
        return Transaction(
            id=new_id(),
            owner=change.owner,
            rev=change.rev,
            account_id=account_id,
            kind="adjustment",
            direction="in" if difference > 0 else "out",
            units=abs(difference),
            day=day,
            status="reconciled",
            description="Difference to the statement",
            origins=(Origin("manual"),),
            created_at=now,
            updated_at=now,
        )


def _parsed(given: Amount, currency: str) -> Money:
    """Raises InvalidRequest naming value or currency."""
    if given.currency not in {None, currency}:
        raise InvalidRequest.of(f"{_FIELD}.currency", f"must be {currency}, the account's")
    return money.parse(given.value, currency, _FIELD)
