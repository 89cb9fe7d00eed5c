"""How use cases change things: with the event that tells of it, and the answer to its caller, at once."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from server.auditing import Actor, Event, current_actor
from server.idempotency import KeyedCall, keep_answers, keyed_call
from server.storage.audit import AuditTrail
from server.storage.driver import Database, Session, Undone
from server.storage.generations import Generations
from server.storage.groups import Groups

I = TypeVar("I")  # noqa: E741 - an item
T = TypeVar("T")


class RecordedChanges:
    def __init__(
        self, database: Database, trail: AuditTrail, generations: Generations | None = None
    ) -> None:
        """`generations`: those of this host, where it serves answers from a cache."""
        self.database = database
        self._trail = trail
        self._generations = generations or Generations()

    async def make(
        self,
        work: Callable[[Session], Awaitable[T]],
        told: Callable[[Any], Event | Sequence[Event]],
        *,
        answers: bool = True,
        give_up: float | None = None,
    ) -> T:
        """Run `work` in a transaction, with the events that tell of its result.

        None from `work` says that nothing was changed after all. Where the caller sent an idempotency
        key the answer is stored too: `work` gives what the use case gives, see
        `idempotency.answered`. `answers=False` is for a change on the way to that. `work` may run
        several times, until `give_up` on the monotonic clock.
        """
        actor, call = current_actor(), keyed_call() if answers else None

        async def together(session: Session) -> T:
            result = await work(session)
            if result is not None:
                events = told(result)
                every = [events] if isinstance(events, Event) else events
                calls = [] if call is None else [(call, result)]
                await self.record([(event, actor) for event in every], calls, session, opening)
            return result

        with self.committing() as opening:
            return await self.database.transact(together, give_up=give_up)

    def committing(self) -> AbstractContextManager[Callable[..., None]]:
        """Around a transaction; what it gives is for `record`."""
        return self._generations.committing()

    async def record(
        self,
        events: Sequence[tuple[Event, Actor]],
        results: Sequence[tuple[KeyedCall, Any]],
        session: Session,
        opening: Callable[..., None],
    ) -> None:
        """Tell of what is done in the transaction of `session`, and keep what its callers are answered."""
        await self._trail.add_all(events, session)
        opening(*(event.user_id for event, _ in events if event.user_id is not None))
        await keep_answers(results, session)

    def changing(self, user_id: str) -> AbstractContextManager[None]:
        """Around a change of what is held on a user that `make` does not make."""
        return self._generations.changing(user_id)

    async def tell(self, event: Event) -> None:
        """Tell of something that changes nothing, as a refusal, or that has been changed before."""
        if event.user_id is not None:
            self._generations.close(event.user_id)
        await self._trail.add(event)


@dataclass(frozen=True, slots=True)
class _Member(Generic[I]):
    """One change, and for whom it is made."""

    item: I
    actor: Actor
    call: KeyedCall | None


class GroupUndone(Exception):
    """Nothing of a group was kept; each of its changes may be made alone, until `give_up`."""

    def __init__(self, give_up: float) -> None:
        super().__init__()
        self.give_up = give_up


class GroupedChanges(Generic[I, T]):
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
        self._groups: Groups[_Member[I], T] = Groups(self._commit)

    async def make(self, item: I) -> T:
        """Raises what `alone` raises, and driver errors."""
        try:
            return await self._groups.join(_Member(item, current_actor(), keyed_call()))
        except GroupUndone as undone:
            if time.monotonic() >= undone.give_up and undone.__cause__ is not None:
                raise undone.__cause__ from None
            return await self._changes.make(
                partial(self._alone, item),
                partial(self._told, item),
                give_up=undone.give_up,
            )

    async def _commit(self, members: Sequence[_Member[I]]) -> Sequence[T]:
        """Raises GroupUndone; any other error of a group says that it may have been committed."""
        database = self._changes.database
        give_up = time.monotonic() + database.patience
        lone = len(members) == 1

        async def work(session: Session) -> Sequence[T]:
            items = [member.item for member in members]
            if lone:
                results: Sequence[T] = [await self._alone(items[0], session)]
            else:
                results = await self._together(items, session)
            done = list(zip(members, results, strict=True))
            await self._changes.record(
                [(self._told(member.item, result), member.actor) for member, result in done],
                [(member.call, result) for member, result in done if member.call is not None],
                session,
                opening,
            )
            return results

        try:
            with self._changes.committing() as opening:
                return await database.transact(work, give_up=give_up, once=not lone)
        except Undone as undone:
            raise GroupUndone(give_up) from undone.__cause__
