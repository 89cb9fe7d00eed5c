"""How use cases change a user's money: in one transaction with the ledger, the event and the reply."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from server.core.errors import ApiError, Unavailable
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.domains.money import metrics
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.ledger.service import Book
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

T = TypeVar("T")


class MoneyChanges:
    def __init__(self, changes: RecordedChanges, book: Book, kind: str = metrics.KINDS[0]) -> None:
        """`kind`: what they are counted as."""
        self._changes = changes
        self._book = book
        self._kind = kind
        # Of users whose money this process changes now: changes of one wait here rather than in MongoDB,
        # where those that come at the same time make each other start again.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def counted_as(self, kind: str) -> "MoneyChanges":
        """The same for changes of another kind, which wait for each other as before."""
        others = MoneyChanges(self._changes, self._book, kind)
        others._locks = self._locks
        return others

    async def make(
        self,
        owner: MoneyOwner,
        work: Callable[[LedgerChange], Awaitable[T]],
        event_of: Callable[[Any], Event],
        reply: KeyedReply | None = None,
        *,
        tentative: bool = False,
    ) -> T:
        """Run `work` with the locked ledger of a user, which is saved after it.

        `work` may run several times; None from it says that nothing was changed after all. If that is
        to be expected (`tentative`), it leaves the ledger as it was, and its `rev`, too.
        """
        begin = self._book.look if tentative else self._book.open

        async def run(session: ClientSession) -> T:
            change = await begin(owner.id, session)
            result = await work(change)
            if result is not None:
                change.touch()
            await change.save()
            return result

        with self._counted() as outcome:
            async with self._locks.setdefault(owner.id, asyncio.Lock()):
                result = await self._changes.make(run, event_of, reply)
            outcome.append("unchanged" if result is None else "saved")
        return result

    @contextmanager
    def _counted(self) -> Iterator[list[str]]:
        """Count a change by what it appends, or by what it raises."""
        outcome: list[str] = []
        try:
            yield outcome
        except Unavailable:
            outcome.append("failed")
            raise
        except ApiError:
            outcome.append("refused")
            raise
        except Exception:
            outcome.append("failed")
            raise
        finally:
            for each in outcome:
                metrics.CHANGES.labels(self._kind, each).inc()

    async def start(self, owner: MoneyOwner) -> None:
        """Make the ledger of a user who has none yet; whoever is second finds it made."""
        if await self._book.exists(owner.id):
            return

        async def work(change: LedgerChange) -> bool | None:
            return True if change.is_first else None

        await self.make(owner, work, lambda _: Event("money.started", owner.user_id))
