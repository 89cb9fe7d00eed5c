"""Logins that platforms refused, counted: too many throttle further ones, and may look like an attack.

Counts are kept in MongoDB, so all processes share them: collection `refused_logins`, one
document a user and platform, and one a client address.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import structlog
from pymongo import IndexModel

from server.core.clock import utc_now
from server.core.errors import RateLimited
from server.core.events import Event, current_actor
from server.domains.connectors import metrics
from server.domains.connectors.errors import InvalidCredentials
from server.observability.metrics import SUSPICIOUS
from server.storage.audit import AuditTrail
from server.storage.driver import Database, Document
from server.storage.updates import upsert

_log = structlog.stdlib.get_logger("finlink.connectors")

REFUSED_LOGINS = "refused_logins"
SUSPICION = "suspicious.refused_credentials"
ALLOWED = 10
WITHIN = timedelta(minutes=10)
STOP = timedelta(minutes=15)
_THROTTLED = "The platform refused this user's logins too often; wait before the next"
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    REFUSED_LOGINS: [IndexModel("newest", expireAfterSeconds=3600)]
}


class LoginThrottle:
    """Driver errors pass through."""

    def __init__(self, database: Database, trail: AuditTrail) -> None:
        self._refused = database.collection(REFUSED_LOGINS)
        self._trail = trail

    @asynccontextmanager
    async def attempt(
        self, user_id: str, platform: str, credentials: Mapping[str, str]
    ) -> AsyncIterator[None]:
        """Inside, a login with a caller's credentials is tried. Raises RateLimited."""
        if not credentials:
            yield
            return
        await self._check(user_id, platform)
        try:
            yield
        except InvalidCredentials:
            await self._count(user_id, platform)
            raise
        # A login has succeeded: what was before does not count any more.
        await self._refused.delete_one({"_id": _login(user_id, platform)})

    async def _check(self, user_id: str, platform: str) -> None:
        """Raises RateLimited while this user's logins at this platform are throttled."""
        document = await self._refused.find_one({"_id": _login(user_id, platform)})
        until = document.get("stoppedUntil") if document else None
        if until is not None and until > utc_now():
            raise RateLimited(_THROTTLED, retry_after=until - utc_now())

    async def _count(self, user_id: str, platform: str) -> None:
        """Record that a platform has refused a login of this user, and throttle them at one too many."""
        await self._trail.add(Event("connector.credentials_refused", user_id, platform=platform))
        metrics.REFUSED_LOGINS.labels(platform).inc()
        if await self._one_more(_login(user_id, platform), throttles=True):
            _log.warning("logins throttled", user_id=user_id, platform=platform)
            metrics.THROTTLED_LOGINS.labels(platform).inc()
            await self._report(Event(SUSPICION, user_id, platform=platform))
        address = current_actor().address
        if address is not None and await self._one_more(f"address/{address}", throttles=False):
            _log.warning("many refused logins from one address", address=address)
            await self._report(Event(SUSPICION))

    async def _report(self, event: Event) -> None:
        SUSPICIOUS.labels(event.action).inc()
        await self._trail.add(event)

    async def _one_more(self, name: str, *, throttles: bool) -> bool:
        """Count one; whether that makes as many as are allowed, which is reported once in WITHIN."""
        now = utc_now()
        recent: Any = {
            "$filter": {
                "input": {"$ifNull": ["$times", []]},
                "cond": {"$gt": ["$$this", now - WITHIN]},
            }
        }
        enough = {"$gte": [{"$size": "$times"}, ALLOWED]}
        stages: list[Document] = [
            {"times": {"$concatArrays": [recent, [now]]}, "newest": now},
            {"reached": enough},
            {"times": {"$cond": ["$reached", [], "$times"]}},  # reported, the count begins again
        ]
        if throttles:
            stages.append({"stoppedUntil": {"$cond": ["$reached", now + STOP, "$stoppedUntil"]}})
        return bool((await upsert(self._refused, name, *stages))["reached"])


def _login(user_id: str, platform: str) -> str:
    return f"login/{user_id}/{platform}"
