"""The collection `deliveries`: messages that wait to be sent, and for a day what became of them.

A message that waits is a job (`server/jobs`), of its channel. `_id` is its reference.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from pymongo import IndexModel

from server.delivery.message import CHANNELS, Channel, Message
from server.jobs.queue import Job, JobKind, JobQueue
from server.storage.driver import ClientSession, Database, Document
from server.storage.persistence import persistently

DELIVERIES = "deliveries"
LEASE = timedelta(seconds=15)
KEPT = timedelta(days=1)  # once it is over, without address and text

End: TypeAlias = Literal["sent", "refused", "expired", "decoy"]

JOBS: Mapping[Channel, JobKind] = {
    channel: JobKind(
        DELIVERIES, due="dueAt", leased="leasedAt", fence="fence", lease=LEASE,
        where={"channel": channel},
    )
    for channel in CHANNELS
}  # fmt: skip
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    DELIVERIES: [
        *JOBS["mail"].indexes,  # those of both channels
        IndexModel("user", sparse=True),
        IndexModel("keptUntil", expireAfterSeconds=0),
    ]
}
COUNT_TRY: Document = {"$set": {"tries": {"$add": ["$tries", 1]}}}


@dataclass(frozen=True, slots=True)
class Delivery:
    """A stored message. `tries` counts the one that its claim begins."""

    reference: str
    kind: str
    sealed: str
    created_at: datetime
    not_after: datetime
    tries: int
    decoy: bool


def new_reference() -> str:
    return f"dlv_{secrets.token_hex(16)}"


class DeliveryStore:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._deliveries = database.collection(DELIVERIES)
        self.jobs: Mapping[Channel, JobQueue[Delivery]] = {
            channel: JobQueue(database, kind, _delivery) for channel, kind in JOBS.items()
        }

    async def insert(
        self,
        reference: str,
        message: Message,
        sealed: str,
        now: datetime,
        session: ClientSession,
        *,
        decoy: bool,
    ) -> None:
        document: Document = {
            "_id": reference,
            "channel": message.channel,
            "kind": message.kind,
            "sealed": sealed,
            "decoy": decoy,
            "state": "waiting",
            "tries": 0,
            "createdAt": now,
            "notAfter": message.not_after,
            "dueAt": now,
            # If no worker ever comes.
            "keptUntil": message.not_after + KEPT,
        }
        if message.user is not None:
            document["user"] = message.user
        await self._deliveries.insert_one(document, session=session)

    async def remove_of(self, user: str, session: ClientSession) -> None:
        await self._deliveries.delete_many({"user": user}, session=session)

    async def end(
        self, channel: Channel, job: Job[Delivery], end: End, now: datetime, code: str | None
    ) -> bool:
        """Erase what it says and to whom; False if the lease is lost. Once MongoDB replies."""
        fields: Document = {
            "state": end,
            "sealed": "$$REMOVE",
            "endedAt": now,
            "keptUntil": now + KEPT,
            **_code(code),
        }
        return await persistently(lambda: self.jobs[channel].finish(job, fields))

    async def try_again(
        self, channel: Channel, job: Job[Delivery], due: datetime, code: str
    ) -> bool:
        """Let it wait until then, for any worker; False if the lease is lost."""
        return await self.jobs[channel].defer(job, due, _code(code))


def _code(code: str | None) -> Document:
    return {} if code is None else {"code": {"$literal": code}}


def _delivery(document: Mapping[str, Any]) -> Delivery:
    return Delivery(
        reference=document["_id"],
        kind=document["kind"],
        sealed=document["sealed"],
        created_at=document["createdAt"],
        not_after=document["notAfter"],
        tries=document["tries"],
        decoy=document["decoy"],
    )
