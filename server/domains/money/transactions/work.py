"""Transactions that change together: loaded, made, changed and deleted, then written in one go."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from msgspec.structs import replace

from server.core.clock import Clock
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.ledger.changes import MoneyChanges
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.transactions.errors import TransactionNotFound
from server.domains.money.transactions.model import Transaction
from server.domains.money.transactions.remembered import DeletionLog
from server.domains.money.transactions.store import TransactionStore

T = TypeVar("T")


class Work:
    """A change of transactions inside of a change of the ledger.

    A transaction that changes twice has the state of the first change for the second.
    """

    def __init__(self, change: LedgerChange, store: TransactionStore, log: DeletionLog) -> None:
        self.change = change
        self._store = store
        self._log = log
        self._current: dict[str, Transaction] = {}
        self._made: dict[str, None] = {}
        self._changed: dict[str, None] = {}
        self._buried: dict[str, Transaction] = {}

    async def load(self, ids: Iterable[str]) -> None:
        """Read some that are there, and the other legs of transfers among them."""
        await self._read(ids)
        await self._read(
            each.counterpart_id for each in list(self._current.values()) if each.counterpart_id
        )

    async def _read(self, ids: Iterable[str]) -> None:
        wanted = [each for each in dict.fromkeys(ids) if each not in self._current]
        change = self.change
        self._current |= await self._store.get_many(
            change.owner, wanted, change.box, change.resolved, change.session
        )

    def find(self, identifier: str | None) -> Transaction | None:
        """One that was loaded or made, and is not deleted."""
        return None if identifier is None else self._current.get(identifier)

    def get(self, identifier: str) -> Transaction:
        """Raises TransactionNotFound."""
        if (found := self.find(identifier)) is None:
            raise TransactionNotFound
        return found

    def other(self, transaction: Transaction) -> Transaction | None:
        """The other leg of its transfer, if it is there."""
        return self.find(transaction.counterpart_id)

    def add(self, transactions: Iterable[Transaction]) -> None:
        """New ones."""
        for each in transactions:
            self.change.post(None, each.entry)
            self._current[each.id] = each
            self._made[each.id] = None

    def replace(self, after: Transaction) -> None:
        self.change.post(self._current[after.id].entry, after.entry)
        self._current[after.id] = after
        if after.id not in self._made:
            self._changed[after.id] = None

    def bury(self, transaction: Transaction) -> None:
        self.change.post(transaction.entry, None)
        del self._current[transaction.id]
        self._changed.pop(transaction.id, None)
        self._buried[transaction.id] = replace(transaction, rev=self.change.rev)

    def bring_back(self, transaction: Transaction) -> None:
        """One that was deleted."""
        self.change.post(None, transaction.entry)
        self._current[transaction.id] = transaction
        self._changed[transaction.id] = None

    async def save(self, now: datetime) -> None:
        change, session = self.change, self.change.session
        if self._made:
            made = [self._current[each] for each in self._made]
            await self._store.insert(made, change.box, session)
        changed = [self._current[each] for each in self._changed]
        await self._store.replace(changed, change.box, session)
        if self._buried:
            await self._store.bury(list(self._buried.values()), now, change.box, session)
            await self._log.add(change.owner, change.rev, now, session)


class WorkRunner:
    """Runs changes of transactions, each in one change of its user's ledger."""

    def __init__(
        self, changes: MoneyChanges, store: TransactionStore, log: DeletionLog, clock: Clock
    ) -> None:
        self._changes = changes
        self._store = store
        self._log = log
        self._clock = clock

    async def make(
        self,
        owner: MoneyOwner,
        run: Callable[[Work], Awaitable[T]],
        done: Event,
        reply: KeyedReply | None,
    ) -> T:
        """`run` may run several times. Raises what it raises."""

        async def work(change: LedgerChange) -> T:
            under_way = Work(change, self._store, self._log)
            result = await run(under_way)
            await under_way.save(self._clock.now())
            return result

        return await self._changes.make(owner, work, lambda _: done, reply)


def event(
    owner: MoneyOwner, done: str, *, fields: Sequence[str] = (), count: int | None = None
) -> Event:
    return Event(f"transaction.{done}", owner.user_id, fields=fields, count=count)
