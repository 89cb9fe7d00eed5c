"""Transactions that change together: loaded, made, changed and deleted, then written in one go."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

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


class CategoryMemory(Protocol):
    """Learns from the categories that users give."""

    async def learn(self, change: LedgerChange, given: Sequence[Transaction]) -> None:
        """The user has given these their category just now."""


class Work:
    """A change of transactions inside of a change of the ledger.

    A transaction that changes twice has the state of the first change for the second.
    """

    def __init__(
        self, change: LedgerChange, store: TransactionStore, log: DeletionLog, now: datetime
    ) -> None:
        self.change = change
        self.now = now
        self._store = store
        self._log = log
        self._current: dict[str, Transaction] = {}
        self._made: dict[str, None] = {}
        self._changed: dict[str, None] = {}
        self._buried: dict[str, Transaction] = {}
        self._given: dict[str, None] = {}  # categories that were given now, by transaction

    @property
    def categorized(self) -> Sequence[Transaction]:
        """Those that have got another category in this change."""
        found = (self._current.get(each) for each in self._given)
        return [each for each in found if each is not None and each.category_id is not None]

    async def load(self, ids: Iterable[str]) -> None:
        """Read some that are there, and the other legs of transfers among them."""
        await self._read(ids)
        await self._read(
            each.counterpart_id for each in list(self._current.values()) if each.counterpart_id
        )

    def adopt(self, transactions: Iterable[Transaction]) -> None:
        """Some that were read in this change already."""
        for each in transactions:
            self._current.setdefault(each.id, each)

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

    def is_new(self, identifier: str) -> bool:
        """Whether it was made in this change."""
        return identifier in self._made

    def other(self, transaction: Transaction) -> Transaction | None:
        """The other leg of its transfer, if it is there."""
        return self.find(transaction.counterpart_id)

    def add(self, transactions: Iterable[Transaction]) -> None:
        """New ones."""
        for each in transactions:
            self.change.post(None, each.entry)
            self._current[each.id] = each
            self._made[each.id] = None
            self._note_category(each, None)

    def _note_category(self, after: Transaction, before: str | None) -> None:
        if after.category_id is not None and after.category_id != before:
            self._given[after.id] = None

    def replace(self, after: Transaction) -> None:
        before = self._current[after.id]
        self.change.post(before.entry, after.entry)
        self._current[after.id] = after
        self._note_category(after, before.category_id)
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

    async def save(self) -> None:
        change, session, now = self.change, self.change.session, self.now
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
        self,
        changes: MoneyChanges,
        store: TransactionStore,
        log: DeletionLog,
        clock: Clock,
        memory: CategoryMemory | None = None,
    ) -> None:
        self._changes = changes
        self._memory = memory
        self._store = store
        self._log = log
        self._clock = clock

    async def make(
        self,
        owner: MoneyOwner,
        run: Callable[[Work], Awaitable[T]],
        done: Event | Callable[[T], Event],
        reply: KeyedReply | None,
    ) -> T:
        """`run` may run several times; `done` records its result. Raises what it raises."""

        async def work(change: LedgerChange) -> T:
            under_way = Work(change, self._store, self._log, self._clock.now())
            result = await run(under_way)
            await under_way.save()
            if self._memory is not None and under_way.categorized:
                await self._memory.learn(change, under_way.categorized)
            return result

        def event_of(result: T) -> Event:
            return done if isinstance(done, Event) else done(result)

        return await self._changes.make(owner, work, event_of, reply)


def event(
    owner: MoneyOwner, done: str, *, fields: Sequence[str] = (), count: int | None = None
) -> Event:
    return Event(f"transaction.{done}", owner.user_id, fields=fields, count=count)
