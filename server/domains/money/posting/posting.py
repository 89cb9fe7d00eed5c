"""A claimed connector while its rows are posted, step by step."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import Enum, auto
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from server.core.events import Event
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.posting import metrics
from server.domains.money.posting.accounts import StreamAccounts
from server.domains.money.posting.batch import Batch, Posted
from server.domains.money.posting.erasing import Place
from server.domains.money.posting.model import Days, Progress, Stream
from server.domains.money.posting.tools import PostingTools
from server.domains.money.posting.values import settle, unsettled
from server.domains.money.transactions.work import Work
from server.jobs.queue import Job
from server.kernel import FedConnector
from server.storage.persistence import persistently

T = TypeVar("T")
LIMIT = 200  # rows a transaction
PAIRED_AT_ONCE = timedelta(days=90)


class Left(Enum):
    """The work that a connector still has after all seemed to be done."""

    NOTHING = auto()
    ROWS = auto()  # that came meanwhile
    MOVES = auto()


class Posting:
    """Each method is a step: a transaction, or several. Raises LeaseLost, SessionEnded."""

    def __init__(self, tools: PostingTools, job: Job[FedConnector], owner: MoneyOwner) -> None:
        self._tools = tools
        self._feed = tools.feed
        self._job = job
        self._owner = owner
        self._progress = Progress.of(job.item.state)

    async def _make(
        self,
        step: Callable[[Work, StreamAccounts], Awaitable[T]],
        action: str,
        count_of: Callable[[T], int],
    ) -> T:
        """Run a step in a transaction; it is recorded with how much it has done.

        If that is nothing, nothing of the user's money is written.
        """
        tools, made = self._tools, None

        async def run(change: LedgerChange) -> int | None:
            nonlocal made
            now = tools.clock.now()
            work = Work(change, tools.store, tools.deletions, now)
            accounts = StreamAccounts(change, self._job.item, tools.streams, tools.accounts, now)
            await accounts.load()
            made = await step(work, accounts)
            return count_of(made) or None

        def event_of(count: int) -> Event:
            item = self._job.item
            return Event(
                action, item.user_id, connector_id=item.id, platform=item.platform, count=count
            )

        await persistently(partial(tools.changes.make, self._owner, run, event_of, tentative=True))
        return made  # type: ignore[return-value]  # the step has run

    async def post_rows(self) -> bool:
        """Post some; False once there are no more."""
        tools = self._tools
        if not await persistently(partial(self._feed.rows, self._job, 1)):
            return False

        async def step(work: Work, accounts: StreamAccounts) -> tuple[int, Posted, Progress]:
            session = work.change.session
            rows = await self._feed.rows(self._job, LIMIT, session)
            batch = Batch(
                work, self._job.item, accounts, tools.origins, tools.walks, tools.memory, work.now
            )
            posted = await batch.post(rows)
            await work.save()
            progress = self._progress.with_days(posted.days)
            await self._feed.take(self._job, rows, session, state=progress.stored)
            return len(rows), posted, progress

        seen, posted, self._progress = await self._make(
            step, "transactions.posted", lambda done: done[1].count
        )
        for outcome, count in posted.outcomes.items():
            metrics.ROWS.labels(outcome).inc(count)
        return seen == LIMIT

    async def move_rows(self) -> bool:
        """Move some into the accounts that have taken streams over; False once there are no more."""

        async def step(work: Work, accounts: StreamAccounts) -> bool:
            stream = next((each for each in accounts.all if each.moves_from is not None), None)
            if stream is None:
                return False
            if not await self._tools.moving.move_some(work, stream):
                await self._end_move(accounts, stream)
            await work.save()
            await self._feed.take(self._job, [], work.change.session)
            return True

        return await self._make(step, "transactions.moved", int)

    async def _end_move(self, accounts: StreamAccounts, stream: Stream) -> None:
        """Nothing is left to move: the account that was made for the stream goes, if it is empty."""
        before = stream.moves_from
        await accounts.save(replace(stream, moves_from=None))
        if before is not None:
            await accounts.remove_empty(before)

    async def pair_some(self) -> bool:
        """Find transfers in the first of many days; False where `conclude` can do the rest."""
        days = self._progress.days
        if days is None or days.until - days.since < PAIRED_AT_ONCE:
            return False
        first = Days(days.since, days.since + PAIRED_AT_ONCE)
        left = Progress(Days(first.until + timedelta(days=1), days.until))

        async def step(work: Work, _: StreamAccounts) -> int:
            paired = await self._tools.pairing.pair(work, first)
            await work.save()
            await self._feed.take(self._job, [], work.change.session, state=left.stored)
            return paired

        await self._make(step, "transactions.paired", int)
        self._progress = left
        return True

    async def conclude(self) -> Left:
        """Do what all rows together decide, then end, unless something is left."""
        tools = self._tools
        user = await persistently(partial(tools.users.get, self._owner.user_id))
        today = user.preferences.today(tools.clock.now())

        async def step(work: Work, accounts: StreamAccounts) -> tuple[Left, int]:
            change, session = work.change, work.change.session
            if await self._feed.rows(self._job, 1, session):
                return Left.ROWS, 0
            if any(each.moves_from is not None for each in accounts.all):
                return Left.MOVES, 0
            done = 0
            if self._job.item.valued or unsettled(accounts.all):
                holdings = await self._feed.holdings(self._job, session)
                done += await tools.valuation.apply(
                    change, accounts, self._job.item, holdings, today
                )
                done += await settle(accounts)
            if self._progress.days is not None:
                done += await tools.pairing.pair(work, self._progress.days)
            await work.save()
            await self._feed.take(self._job, [], session, valued=True, state={})
            await self._feed.finish(self._job, session)
            return Left.NOTHING, done

        left, _ = await self._make(step, "accounts.valued", lambda made: made[1])
        return left

    async def erase(self) -> None:
        """Erase what was made of records that were erased, before others are posted."""
        place: Place | None = None
        while True:
            _, place = await self._make(
                partial(self._erase_some, place), "transactions.erased", lambda done: done[0]
            )
            if place is None:
                break
        after: str | None = None
        while True:
            after = await self._make(
                partial(self._hollow_some, after), "transactions.erased", lambda _: 0
            )
            if after is None:
                return

    async def _erase_some(
        self, place: Place | None, work: Work, _: StreamAccounts
    ) -> tuple[int, Place | None]:
        erasing = self._tools.erasing
        erased = await erasing.erase_some(work, self._job.item.id, place)
        await work.save()
        await erasing.hollow(erased.gone, work)
        await self._feed.take(self._job, [], work.change.session)
        return len(erased.gone) + erased.kept, erased.following

    async def _hollow_some(self, after: str | None, work: Work, _: StreamAccounts) -> str | None:
        following = await self._tools.erasing.hollow_deleted(work, self._job.item.id, after)
        is_last = following is None
        await self._feed.take(self._job, [], work.change.session, erased=is_last)
        return following
