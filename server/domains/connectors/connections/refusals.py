"""Refused logins, counted: who tries too often has to wait, and what looks like an attack is told.

Counts are kept in MongoDB, on its clock, so all processes share them: collection `refused_logins`, one
document a user and platform, and one a client address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog
from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.core.clock import utc_now
from server.core.events import Event, current_actor
from server.domains.connectors import metrics
from server.domains.connectors.errors import TooManyRefusals
from server.observability.metrics import SUSPICIOUS
from server.storage.audit import AuditTrail
from server.storage.driver import Database, Document

_log = structlog.stdlib.get_logger("finlink.connectors")

REFUSED_LOGINS = "refused_logins"
SUSPICION = "suspicious.refused_credentials"
ALLOWED = 10
WITHIN = timedelta(minutes=10)
STOP = timedelta(minutes=15)
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    REFUSED_LOGINS: [IndexModel("newest", expireAfterSeconds=3600)]
}


class RefusedLogins:
    """Driver errors pass through."""

    def __init__(self, database: Database, trail: AuditTrail) -> None:
        self._refused = database.collection(REFUSED_LOGINS)
        self._trail = trail

    async def check(self, user_id: str, platform: str) -> None:
        """Raises TooManyRefusals while this user's logins at this platform are stopped."""
        document = await self._refused.find_one({"_id": _login(user_id, platform)})
        until = document.get("stoppedUntil") if document else None
        if until is not None and until > utc_now():
            raise TooManyRefusals(retry_after=until - utc_now())

    async def count(self, user_id: str, platform: str) -> None:
        """A platform has refused a login of this user: tell of it, and stop them at one too many."""
        await self._trail.add(Event("connector.credentials_refused", user_id, platform=platform))
        metrics.REFUSED_LOGINS.labels(platform).inc()
        if await self._one_more(_login(user_id, platform), stops=True):
            _log.warning("logins stopped", user_id=user_id, platform=platform)
            metrics.THROTTLED_LOGINS.labels(platform).inc()
            await self._suspicious(Event(SUSPICION, user_id, platform=platform))
        address = current_actor().address
        if address is not None and await self._one_more(f"address/{address}", stops=False):
            _log.warning("many refused logins from one address", address=address)
            await self._suspicious(Event(SUSPICION))

    async def _suspicious(self, event: Event) -> None:
        SUSPICIOUS.labels(event.action).inc()
        await self._trail.add(event)

    async def forget(self, user_id: str, platform: str) -> None:
        """A login has succeeded: what was before does not count any more."""
        await self._refused.delete_one({"_id": _login(user_id, platform)})

    async def _one_more(self, name: str, *, stops: bool) -> bool:
        """Count one; whether with it there are as many as may be, which is told once each WITHIN."""
        since = {"$subtract": ["$$NOW", _milliseconds(WITHIN)]}
        recent: Any = {
            "$filter": {"input": {"$ifNull": ["$times", []]}, "cond": {"$gt": ["$$this", since]}}
        }
        enough = {"$gte": [{"$size": "$times"}, ALLOWED]}
        update: list[Document] = [
            {"$set": {"times": {"$concatArrays": [recent, ["$$NOW"]]}, "newest": "$$NOW"}},
            {"$set": {"reached": enough}},
            # Told and stopped, it begins anew.
            {"$set": {"times": {"$cond": ["$reached", [], "$times"]}}},
        ]
        if stops:
            until = {"$add": ["$$NOW", _milliseconds(STOP)]}
            update.append(
                {"$set": {"stoppedUntil": {"$cond": ["$reached", until, "$stoppedUntil"]}}}
            )
        while True:
            try:
                document = await self._refused.find_one_and_update(
                    {"_id": name}, update, upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:  # somebody else has just made it
                continue
            return bool(document and document["reached"])


def _login(user_id: str, platform: str) -> str:
    return f"login/{user_id}/{platform}"


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
