"""Sends the messages of one channel as they become due."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from server.delivery import metrics
from server.delivery.errors import NotSent, Refused
from server.delivery.message import Channel, Outgoing
from server.delivery.sealing import Sealer
from server.delivery.store import Delivery, DeliveryStore, End
from server.jobs.queue import Job, LeaseLost
from server.observability.logging import cause_of
from server.security.encryption import Undecipherable

SEND_SECONDS = 20.0  # a try that takes longer has failed
# Between two tries; the last one is repeated until the message is over.
WAITS = tuple(timedelta(seconds=seconds) for seconds in (2, 10, 30, 60))

_log = structlog.stdlib.get_logger("finlink.delivery")


class Transport(Protocol):
    """One way to send messages."""

    async def send(self, message: Outgoing) -> None:
        """Return once the other end has it. Raises Refused, and NotSent where a later try may work."""

    async def aclose(self) -> None: ...


class DeliveryWorker:
    def __init__(
        self,
        channel: Channel,
        store: DeliveryStore,
        sealer: Sealer,
        transport: Transport,
        now: Callable[[], datetime],
    ) -> None:
        self._channel: Channel = channel
        self._store = store
        self._sealer = sealer
        self._transport = transport
        self._now = now

    async def run(self, job: Job[Delivery]) -> None:
        """Send the message of a claimed job. Cancelled, it hands the job back for another worker."""
        try:
            await self._store.jobs[self._channel].run(job, self._work(job))
        except LeaseLost:
            # Its user was deleted, or this worker was frozen and another one sends it.
            _log.info("message lost its lease", **self._about(job))

    async def _work(self, job: Job[Delivery]) -> None:
        delivery = job.item
        if delivery.decoy:
            await self._end(job, "decoy")
        elif self._now() >= delivery.not_after:
            await self._end(job, "expired")
        else:
            await self._try(job)

    async def _try(self, job: Job[Delivery]) -> None:
        try:
            await self._send(job.item)
        except Refused as error:
            await self._end(job, "refused", error.code)
        except NotSent as error:
            await self._try_again(job, error)
        else:
            await self._end(job, "sent")

    async def _send(self, delivery: Delivery) -> None:
        """Raises NotSent, whatever went wrong."""
        try:
            message = self._sealer.open(delivery.sealed, delivery.reference, delivery.created_at)
            async with asyncio.timeout(SEND_SECONDS):
                await self._transport.send(message)
        except NotSent:
            raise
        except Undecipherable:
            raise Refused("UNREADABLE") from None
        except TimeoutError:
            raise NotSent("TIMEOUT") from None
        except Exception as error:
            _log.error("message not sent", kind=delivery.kind, **cause_of(error))
            raise NotSent("INTERNAL") from error

    async def _try_again(self, job: Job[Delivery], error: NotSent) -> None:
        """Later, unless the message is over by then."""
        wait = WAITS[min(job.item.tries, len(WAITS)) - 1]
        due = self._now() + max(wait, error.retry_after or timedelta(0))
        if due >= job.item.not_after:
            await self._end(job, "expired", error.code)
            return
        if not await self._store.try_again(self._channel, job, due, error.code):
            raise LeaseLost
        metrics.DELIVERIES.labels(self._channel, "retried").inc()
        _log.info("message retried", **self._about(job), cause=error.code)

    async def _end(self, job: Job[Delivery], end: End, code: str | None = None) -> None:
        if not await self._store.end(self._channel, job, end, self._now(), code):
            raise LeaseLost
        metrics.DELIVERIES.labels(self._channel, end).inc()
        log = _log.info if end in {"sent", "decoy"} else _log.warning
        log(f"message {end}", **self._about(job), **({"cause": code} if code else {}))

    def _about(self, job: Job[Delivery]) -> dict[str, object]:
        return {
            "reference": job.id,
            "channel": self._channel,
            "kind": job.item.kind,
            "tries": job.item.tries,
        }
