"""How use cases change things: together with the events that record it, and the reply to the caller."""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from server.cache.generations import Generations
from server.core.events import Actor, Event, current_actor
from server.core.idempotency import KeyedReply, store_replies
from server.storage.audit import AuditTrail
from server.storage.driver import ClientSession, Database, TransactionAborted
from server.storage.group_commit import GroupCommit

I = TypeVar("I")  # noqa: E741 - an item
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a change is made for: the actor of its events, and the reply to store with it."""

    actor: Actor
    reply: KeyedReply | None


# A change that was made: for whom, its result, and the events that record it.
Done: TypeAlias = tuple[Caller, Any, Sequence[Event]]


class RecordedChanges:
    def __init__(
        self, database: Database, trail: AuditTrail, generations: Generations | None = None
    ) -> None:
        """`generations`: those of this host, if it serves replies from a cache."""
        self.transaction_seconds = database.transaction_seconds  # for which a change is tried
        self._database = database
        self._trail = trail
        self._generations = generations or Generations()

    async def make(
        self,
        work: Callable[[ClientSession], Awaitable[T]],
        events_of: Callable[[Any], Event | Sequence[Event]],
        reply: KeyedReply | None,
        *,
        deadline: float | None = None,
    ) -> T:
        """Run `work` in a transaction, with the events that record its result.

        None from `work` says that nothing was changed after all. `reply` is the one that the use case was
        given: `work` returns what the use case returns. A change on the way to that has none. `work` may
        run several times, until `deadline` on the monotonic clock.
        """
        caller = Caller(current_actor(), reply)

        async def changed(session: ClientSession) -> tuple[T, list[Done]]:
            if reply is not None:
                reply.call.stored = None  # what a try before this one had stored went with it
            result = await work(session)
            if result is None:
                return result, []
            events = events_of(result)
            return result, [(caller, result, [events] if isinstance(events, Event) else events)]

        return await self.commit(changed, deadline=deadline)

    async def commit(
        self,
        work: Callable[[ClientSession], Awaitable[tuple[T, Sequence[Done]]]],
        *,
        deadline: float | None = None,
        once: bool = False,
    ) -> T:
        """Run `work` in a transaction, with the events and replies of all that it has done.

        `deadline` and `once` are those of `Database.transact`.
        """

        async def together(session: ClientSession) -> T:
            result, done = await work(session)
            events = [(event, caller.actor) for caller, _, events in done for event in events]
            await self._trail.add_all(events, session)
            opening(*(event.user_id for event, _ in events if event.user_id is not None))
            replies = [(caller.reply, result) for caller, result, _ in done if caller.reply]
            await store_replies(replies, session)
            return result

        with self._generations.committing() as opening:
            return await self._database.transact(together, deadline=deadline, once=once)

    def changing(self, user_id: str) -> AbstractContextManager[None]:
        """Around a change of what is stored about a user that `make` does not make."""
        return self._generations.changing(user_id)

    async def record(self, event: Event) -> None:
        """Record something that changes nothing, such as a refusal, or that has been changed before."""
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

    Each is recorded and replied to as if it were made alone. If a group fails, nothing of it is stored and
    its members are made alone, so that none gets another reply because of the others.
    """

    def __init__(
        self,
        changes: RecordedChanges,
        alone: Callable[[I, ClientSession], Awaitable[T]],
        together: Callable[[Sequence[I], ClientSession], Awaitable[Sequence[T]]],
        event_of: Callable[[I, T], Event],
    ) -> None:
        """`alone` makes one change, `together` many; the latter may raise whatever it likes."""
        self._changes = changes
        self._alone = alone
        self._together = together
        self._event_of = event_of
        self._groups: GroupCommit[tuple[I, Caller], T] = GroupCommit(self._commit)

    async def make(self, item: I, reply: KeyedReply | None) -> T:
        """Raises what `alone` raises, and driver errors."""
        try:
            return await self._groups.join((item, Caller(current_actor(), reply)))
        except GroupAborted as aborted:
            if time.monotonic() >= aborted.deadline and aborted.__cause__ is not None:
                raise aborted.__cause__ from None
            return await self._changes.make(
                partial(self._alone, item),
                partial(self._event_of, item),
                reply,
                deadline=aborted.deadline,
            )

    async def _commit(self, members: Sequence[tuple[I, Caller]]) -> Sequence[T]:
        """Raises GroupAborted; any other error of a group says that it may have been committed."""
        deadline = time.monotonic() + self._changes.transaction_seconds
        items = [item for item, _ in members]
        lone = len(members) == 1

        async def work(session: ClientSession) -> tuple[Sequence[T], list[Done]]:
            results: Sequence[T]
            if lone:
                results = [await self._alone(items[0], session)]
            else:
                results = await self._together(items, session)
            return results, [
                (caller, result, [self._event_of(item, result)])
                for (item, caller), result in zip(members, results, strict=True)
            ]

        try:
            return await self._changes.commit(work, deadline=deadline, once=not lone)
        except TransactionAborted as aborted:
            raise GroupAborted(deadline) from aborted.__cause__
