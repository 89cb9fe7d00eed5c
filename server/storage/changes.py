"""How use cases change things: with the event that tells of it, and the answer to its caller, at once."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from server.cache.generations import Generations
from server.core.events import Actor, Event, current_actor
from server.core.idempotency import KeyedCall, keep_answers, keyed_call
from server.storage.audit import AuditTrail
from server.storage.driver import Database, Session, TransactionAborted
from server.storage.group_commit import GroupCommit

I = TypeVar("I")  # noqa: E741 - an item
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a change is made for: the actor of its events, and the call that it answers."""

    actor: Actor
    call: KeyedCall | None

    @classmethod
    def current(cls, *, answers: bool = True) -> Caller:
        """Of this task."""
        return cls(current_actor(), keyed_call() if answers else None)


# A change that was made: for whom, its result, and what is told of it.
Done: TypeAlias = tuple[Caller, Any, Sequence[Event]]


class RecordedChanges:
    def __init__(
        self, database: Database, trail: AuditTrail, generations: Generations | None = None
    ) -> None:
        """`generations`: those of this host, where it serves answers from a cache."""
        self._database = database
        self._trail = trail
        self._generations = generations or Generations()

    async def make(
        self,
        work: Callable[[Session], Awaitable[T]],
        told: Callable[[Any], Event | Sequence[Event]],
        *,
        answers: bool = True,
        deadline: float | None = None,
    ) -> T:
        """Run `work` in a transaction, with the events that tell of its result.

        None from `work` says that nothing was changed after all. Where the caller sent an idempotency
        key the answer is stored too: `work` gives what the use case gives, see
        `idempotency.answered`. `answers=False` is for a change on the way to that. `work` may run
        several times, until `deadline` on the monotonic clock.
        """
        caller = Caller.current(answers=answers)

        async def changed(session: Session) -> tuple[T, list[Done]]:
            result = await work(session)
            if result is None:
                return result, []
            events = told(result)
            return result, [(caller, result, [events] if isinstance(events, Event) else events)]

        return await self.commit(changed, deadline=deadline)

    async def commit(
        self,
        work: Callable[[Session], Awaitable[tuple[T, Sequence[Done]]]],
        *,
        deadline: float | None = None,
        once: bool = False,
    ) -> T:
        """Run `work` in a transaction, with the events and answers of all that it has done.

        `deadline` and `once` are those of `Database.transact`.
        """

        async def together(session: Session) -> T:
            result, done = await work(session)
            told = [(event, caller.actor) for caller, _, events in done for event in events]
            await self._trail.add_all(told, session)
            opening(*(event.user_id for event, _ in told if event.user_id is not None))
            await keep_answers(
                [(caller.call, answer) for caller, answer, _ in done if caller.call is not None],
                session,
            )
            return result

        with self._generations.committing() as opening:
            return await self._database.transact(together, deadline=deadline, once=once)

    def changing(self, user_id: str) -> AbstractContextManager[None]:
        """Around a change of what is held on a user that `make` does not make."""
        return self._generations.changing(user_id)

    @property
    def transaction_seconds(self) -> float:
        """For how many seconds a change is tried."""
        return self._database.transaction_seconds

    async def tell(self, event: Event) -> None:
        """Tell of something that changes nothing, as a refusal, or that has been changed before."""
        if event.user_id is not None:
            self._generations.close(event.user_id)
        await self._trail.add(event)


class GroupAborted(Exception):
    """Nothing of a group was kept; each of its changes may be made alone, until `deadline`."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self.deadline = deadline


class GroupCommitChanges(Generic[I, T]):
    """Changes of one kind that share transactions.

    Each is told of and answered as if it were made alone. Where a group fails, nothing of it is kept and
    its members go alone, so that none has another answer because of the others.
    """

    def __init__(
        self,
        changes: RecordedChanges,
        alone: Callable[[I, Session], Awaitable[T]],
        together: Callable[[Sequence[I], Session], Awaitable[Sequence[T]]],
        told: Callable[[I, T], Event],
    ) -> None:
        """`alone` makes one change, `together` many; the latter may raise whatever it likes."""
        self._changes = changes
        self._alone = alone
        self._together = together
        self._told = told
        self._groups: GroupCommit[tuple[I, Caller], T] = GroupCommit(self._commit)

    async def make(self, item: I) -> T:
        """Raises what `alone` raises, and driver errors."""
        try:
            return await self._groups.join((item, Caller.current()))
        except GroupAborted as aborted:
            if time.monotonic() >= aborted.deadline and aborted.__cause__ is not None:
                raise aborted.__cause__ from None
            return await self._changes.make(
                partial(self._alone, item),
                partial(self._told, item),
                deadline=aborted.deadline,
            )

    async def _commit(self, members: Sequence[tuple[I, Caller]]) -> Sequence[T]:
        """Raises GroupAborted; any other error of a group says that it may have been committed."""
        deadline = time.monotonic() + self._changes.transaction_seconds
        items = [item for item, _ in members]
        lone = len(members) == 1

        async def work(session: Session) -> tuple[Sequence[T], list[Done]]:
            results: Sequence[T]
            if lone:
                results = [await self._alone(items[0], session)]
            else:
                results = await self._together(items, session)
            return results, [
                (caller, result, [self._told(item, result)])
                for (item, caller), result in zip(members, results, strict=True)
            ]

        try:
            return await self._changes.commit(work, deadline=deadline, once=not lone)
        except TransactionAborted as aborted:
            raise GroupAborted(deadline) from aborted.__cause__
