"""Compares ledgers with the transactions that they are the sum of: all, one user's, or an hourly sample."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import structlog

from server.core.clock import Clock
from server.core.health import Finding, behind, together
from server.domains.money import metrics
from server.domains.money.ledger.model import Entry
from server.domains.money.ledger.service import Book
from server.domains.money.transactions.documents import opened_transaction
from server.domains.money.transactions.store import TransactionStore
from server.domains.money.transactions.verification.model import Recounted, Report
from server.domains.money.transactions.verification.store import CheckStore, Sampled
from server.security.encryption import Undecipherable
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.money")

EVERY = timedelta(hours=1)
LOOK_SECONDS = 15.0  # between two looks whether a sample is due, and how much waits to be erased
SAMPLE = 20  # users
_AT_ONCE = 500  # transactions that are opened before others get their turn
UNREADABLE = "something cannot be opened: its data key is not there, or the document was changed"
NO_ORIGIN = "its origin is lost, so that a sync may add it again"
NO_LEDGER = "has transactions and no ledger"


class Verification:
    """Recounts users, each at one moment, while their money goes on changing. Driver errors pass through."""

    def __init__(self, book: Book, transactions: TransactionStore, checks: CheckStore) -> None:
        self._book = book
        self._transactions = transactions
        self._checks = checks

    async def of_user(self, owner: str) -> Recounted:
        count, from_bank = 0, set[str]()

        async def entries(session: ClientSession) -> AsyncIterator[Entry]:
            nonlocal count
            view = await self._book.balances(owner, session)
            if view.box is None:
                return
            async for document in self._transactions.all(owner, session):
                # The ledger says what deleted categories stand for.
                each = opened_transaction(document, view.box, lambda category: category)
                if any(origin.source == "connector" for origin in each.origins):
                    from_bank.add(each.id)
                yield each.entry
                count += 1
                if count % _AT_ONCE == 0:
                    await asyncio.sleep(0)

        try:
            async with self._book.moment() as session:
                found = await self._book.recount(owner, entries(session), session)
                if from_bank:
                    from_bank -= await self._checks.with_origin(owner, session)
        except Undecipherable:
            if not await self._book.exists(owner):  # deleted meanwhile, with its key
                return Recounted(owner)
            return Recounted(owner, count, (UNREADABLE,), unreadable=True)
        lost = [f"transaction {each}: {NO_ORIGIN}" for each in sorted(from_bank)]
        return Recounted(owner, count, (*found, *lost))

    async def of_all(self, progress: Callable[[Report, int], None]) -> Report:
        """`progress` is given what was found so far, and roughly of how many users."""
        report, total = Report(), await self._checks.count()
        async for owner in self._checks.owners():
            report.add(await self.of_user(owner))
            progress(report, total)
        for owner in await self._checks.strangers():
            report.different += 1
            report.note(owner, [NO_LEDGER])
        return report


class Sampling:
    """Recounts some users each hour, in one of the processes that sync, and says how money is."""

    def __init__(self, verification: Verification, checks: CheckStore, clock: Clock) -> None:
        self._verification = verification
        self._checks = checks
        self._clock = clock

    async def sample_due(self) -> None:
        """If one is due, recount. The metrics have the last sample in any case."""
        waiting, _ = await self._checks.waiting()
        metrics.ERASURES.set(waiting)
        now = self._clock.now()
        if await self._checks.take_turn(now, EVERY):
            await self._sample()
        if (last := await self._checks.last()) is not None:
            metrics.DIFFERENCES.set(last.differences)

    async def _sample(self) -> None:
        differences, owners = 0, await self._checks.some(SAMPLE)
        for owner in owners:
            found = await self._verification.of_user(owner)
            metrics.RECOUNTS.labels(found.outcome).inc()
            differences += len(found.differences)
            if found.differences:
                _log.error("ledger differs", owner=owner, differences=list(found.differences[:20]))
        await self._checks.sampled(Sampled(self._clock.now(), len(owners), differences))

    async def health(self) -> Finding:
        """Whether what was deleted is erased in time, and the last sample was right."""
        now = self._clock.now()
        _, since = await self._checks.waiting()
        erasing = behind(
            now - since if since else timedelta(0),
            "The money of somebody deleted waits to be erased",
            degraded=timedelta(minutes=5),
            failing=timedelta(hours=1),
        )
        last = await self._checks.last()
        if last is None or not last.differences:
            return erasing
        message = (
            f"{last.differences} differences between ledgers and transactions: run verify-money"
        )
        return together([erasing, Finding("failing", message=message)])
