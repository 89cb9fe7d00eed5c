"""The poster: what connectors sync becomes accounts and transactions, once each.

A connector is a job of the feed, under a lease. Each step of it is one transaction that ends with the lease
being checked, so a worker that died leaves nothing half, and one that froze and wakes up writes nothing.
"""

from datetime import timedelta
from functools import partial

import structlog

from server.core.errors import ApiError, SessionEnded
from server.core.health import Finding, behind
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.posting import metrics
from server.domains.money.posting.posting import Left, Posting
from server.domains.money.posting.tools import PostingTools
from server.jobs.queue import Job, LeaseLost
from server.kernel import FedConnector
from server.observability.logging import cause_of
from server.storage.persistence import persistently

RETRY = timedelta(minutes=1)  # after a fault
LAG_SECONDS = 10.0  # between two looks for what waits
CONCURRENCY = 4  # connectors that one worker posts at a time

_log = structlog.stdlib.get_logger("finlink.money")


class Poster:
    def __init__(self, tools: PostingTools) -> None:
        self._tools = tools

    async def post(self, job: Job[FedConnector]) -> None:
        """Post what waits of a claimed connector. Cancelled, it hands the connector back."""
        try:
            await self._tools.feed.run(job, self._work(job))
        except LeaseLost:
            _log.info("posting lost its lease", connector_id=job.item.id)

    async def report_lag(self) -> None:
        metrics.LAG.set(max(0.0, (await self._lag()).total_seconds()))

    async def health(self) -> Finding:
        """Whether workers take what connectors have brought. A first walk over old records takes a while."""
        return behind(
            await self._lag(),
            "Records that were synced wait to be posted",
            degraded=timedelta(minutes=1),
            failing=timedelta(minutes=10),
        )

    async def _lag(self) -> timedelta:
        since = await self._tools.feed.due_since()
        return timedelta(0) if since is None else self._tools.clock.now() - since

    async def _work(self, job: Job[FedConnector]) -> None:
        try:
            await self._post_all(job)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - of one connector; it is tried again
            if not _is_user_gone(error):  # with whom the connector goes
                metrics.FAILURES.inc()
                _log.error("posting failed", connector_id=job.item.id, **cause_of(error))
            await self._tools.feed.defer(job, RETRY)

    async def _post_all(self, job: Job[FedConnector]) -> None:
        await persistently(partial(self._tools.feed.mark, job))
        user_id = job.item.user_id
        identity = await persistently(partial(self._tools.users.identity, user_id))
        posting = Posting(self._tools, job, MoneyOwner(identity, user_id))
        if job.item.erased:
            await posting.erase()
        left = Left.ROWS
        while left is not Left.NOTHING:
            while await posting.post_rows():
                pass
            while left is Left.MOVES and await posting.move_rows():
                pass
            while await posting.pair_some():
                pass
            left = await posting.conclude()


def _is_user_gone(error: Exception) -> bool:
    return isinstance(error, SessionEnded) or (
        isinstance(error, ApiError) and error.code == "USER_NOT_FOUND"
    )
