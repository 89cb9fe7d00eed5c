"""Messages that a running Finlink has to send, added as its domains do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from server.core.clock import utc_now
from server.delivery.message import CHANNELS, Message
from server.delivery.outbox import Outbox
from server.delivery.sealing import KEY_NAME, Sealer
from server.delivery.store import DELIVERIES, DeliveryStore
from server.security.keys import ring_of
from server.security.ring import KeyRing
from server.storage.driver import ClientSession, Database, connected
from server.storage.keyed_secrets import KeyedSecrets
from tests.e2e import connector_steps as step
from tests.observability.monitored import Monitored
from tests.storage.databases import settings


@dataclass(frozen=True)
class Messages:
    database: Database
    outbox: Outbox

    async def add(self, *messages: Message, decoy: bool = False) -> None:
        async def work(session: ClientSession) -> None:
            for each in messages:
                add = self.outbox.add_decoy if decoy else self.outbox.add
                await add(each, session)

        await self.database.transact(work)

    async def add_mails(self, count: int) -> None:
        await self.add(*(mail() for _ in range(count)))

    async def until_over(self) -> None:
        """Until none waits."""
        collection = self.database.collection(DELIVERIES)

        async def over() -> bool:
            return await collection.find_one({"state": "waiting"}) is None

        await step.eventually(over, "all messages to be sent")


def mail(to: str = "ann@example.com") -> Message:
    end = utc_now() + timedelta(minutes=10)
    return Message("mail", "verify_email", to, "Hello", end, subject="Hello")


def sms(to: str = "+919876543210") -> Message:
    return Message("sms", "sign_in_code", to, "481516", utc_now() + timedelta(minutes=10))


@asynccontextmanager
async def outbox_of(site: Monitored, since: timedelta = timedelta(0)) -> AsyncIterator[Messages]:
    """Its outbox; what is added has been due `since` then."""
    key = bytes.fromhex(site.ground.settings["ENCRYPTION_KEY"])
    uri = site.ground.stack.mongodb_uri
    given = settings(uri, "pymongo", db_name="financial_app", mongo_timeout_ms=20_000)
    async with connected(given) as database:
        secret = await KeyedSecrets(database, KeyRing(ring_of({}, key))).get(KEY_NAME)
        store, sealer = DeliveryStore(database), Sealer(secret)
        outbox = Outbox(store, sealer, CHANNELS, lambda: utc_now() - since, lambda: None)
        yield Messages(database, outbox)
