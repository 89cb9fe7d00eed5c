"""How use cases change things: with the event that tells of it, and the answer to its caller, at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from server.auditing import Event
from server.idempotency import keyed_call
from server.storage.audit import AuditTrail
from server.storage.driver import Database, Session
from server.storage.generations import Generations

T = TypeVar("T")


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
    ) -> T:
        """Run `work` in a transaction, with the events that tell of its result.

        None from `work` says that nothing was changed after all. Where the caller sent an idempotency
        key the answer is stored too: `work` gives what the use case gives, see
        `idempotency.answered`. `answers=False` is for a change on the way to that. `work` may run
        several times.
        """
        call = keyed_call() if answers else None

        async def together(session: Session) -> T:
            result = await work(session)
            if result is not None:
                events = told(result)
                for event in [events] if isinstance(events, Event) else events:
                    await self._trail.add(event, session)
                    if event.user_id is not None:
                        opening(event.user_id)
                if call is not None:
                    await call.keep(result, session)
            return result

        with self._generations.committing() as opening:
            return await self._database.transact(together)

    def changing(self, user_id: str) -> AbstractContextManager[None]:
        """Around a change of what is held on a user that `make` does not make."""
        return self._generations.changing(user_id)

    async def tell(self, event: Event) -> None:
        """Tell of something that changes nothing, as a refusal, or that has been changed before."""
        if event.user_id is not None:
            self._generations.close(event.user_id)
        await self._trail.add(event)
