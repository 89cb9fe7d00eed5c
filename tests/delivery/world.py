"""An outbox on a real MongoDB, whose worker is driven step by step, by a clock that the test turns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from server.core.clock import utc_now
from server.delivery.message import Channel, Message, Outgoing
from server.delivery.outbox import Outbox
from server.delivery.sealing import Sealer
from server.delivery.store import COUNT_TRY, DELIVERIES, Delivery, DeliveryStore
from server.delivery.worker import DeliveryWorker, Transport
from server.jobs.queue import DueJobs, Job
from server.storage.driver import ClientSession, Database

KEY = bytes(range(32))
TO = {"mail": "ann@example.com", "sms": "+919876543210"}
CODE = "481516"


@dataclass
class Clock:
    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        return utc_now() + self.ahead

    def turn(self, **by: float) -> None:
        self.ahead += timedelta(**by)


@dataclass
class Scripted:
    """A way to send that raises the next error of its script, and then takes messages."""

    errors: list[Exception] = field(default_factory=list)
    taken: list[Outgoing] = field(default_factory=list)
    after: Callable[[], Awaitable[None]] | None = None  # once it has taken one

    async def send(self, message: Outgoing) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.taken.append(message)
        if self.after is not None:
            await self.after()

    async def aclose(self) -> None:
        pass


class World:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.collection = database.collection(DELIVERIES)
        self.clock = Clock()
        self.store = DeliveryStore(database)
        self.sealer = Sealer(KEY)
        self.woken = 0
        self.outbox = Outbox(self.store, self.sealer, ("mail", "sms"), self.clock.now, self._woken)

    def _woken(self) -> None:
        self.woken += 1

    def message(self, channel: Channel = "mail", **changes: Any) -> Message:
        """A code that is good for five minutes."""
        given: dict[str, Any] = {
            "channel": channel, "kind": "sign_in_code", "to": TO[channel], "text": f"Your code: {CODE}",
            "subject": "Your code" if channel == "mail" else "", "user": "user-1",
            "not_after": self.clock.now() + timedelta(minutes=5),
        }  # fmt: skip
        return Message(**{**given, **changes})

    async def add(self, message: Message | None = None, *, decoy: bool = False) -> str:
        """Its reference."""
        what = message or self.message()

        async def work(session: ClientSession) -> str:
            add = self.outbox.add_decoy if decoy else self.outbox.add
            return await add(what, session)

        return await self.database.transact(work)

    async def document(self, reference: str) -> dict[str, Any]:
        found = await self.collection.find_one({"_id": reference})
        assert found is not None
        return found

    async def claim(self, channel: Channel = "mail") -> Job[Delivery] | None:
        jobs = self.store.jobs[channel]
        return await DueJobs(jobs, self.clock.now, [COUNT_TRY], [COUNT_TRY]).claim(abandoned=True)

    async def claimed(self, channel: Channel = "mail") -> Job[Delivery]:
        job = await self.claim(channel)
        assert job is not None
        return job

    def worker(self, transport: Transport, channel: Channel = "mail") -> DeliveryWorker:
        return DeliveryWorker(channel, self.store, self.sealer, transport, self.clock.now)

    async def work(self, transport: Transport, channel: Channel = "mail") -> int:
        """Do what is due now, as one worker; how many tries that were."""
        tries = 0
        while (job := await self.claim(channel)) is not None:
            await self.worker(transport, channel).run(job)
            tries += 1
        return tries

    async def lapse(self, reference: str) -> None:
        """As time does if a worker is dead: the lease ends."""
        ago = utc_now() - timedelta(seconds=1)
        await self.collection.update_one({"_id": reference}, {"$set": {"dueAt": ago}})
