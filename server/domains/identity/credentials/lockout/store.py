"""Failed logins in MongoDB: collection `login_failures`, which all processes share.

There is a document for each name, for a user's second factors, and for each address, under an HMAC of what
it is about. So the collection does not say whose names are tried, and a name that nobody has is counted like
any other. Driver errors pass through.
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo import IndexModel

from server.domains.identity.credentials.lockout.model import (
    ATTEMPTS,
    FORGIVEN,
    KEPT,
    LOCKS,
    MOST_SECOND_FACTORS,
    SECOND_FACTORS,
    SECOND_FACTORS_LOCK,
    WITHIN,
    Failed,
    Locked,
    Name,
)
from server.storage.driver import ClientSession, Database, Document
from server.storage.updates import change, upsert

LOGIN_FAILURES = "login_failures"
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    LOGIN_FAILURES: [
        IndexModel("expiresAt", expireAfterSeconds=0),
        IndexModel("failedAt", sparse=True),
        IndexModel("user", sparse=True),
    ]
}
_TAG_CHARACTERS = 16  # of a name's HMAC, enough to count names


class LoginFailureStore:
    def __init__(self, database: Database, key: bytes) -> None:
        self._failures = database.collection(LOGIN_FAILURES)
        self._key = key

    async def attempt(self, name: Name, now: datetime) -> Locked | None:
        """Count an attempt as if it failed, and lock the name with the last that may be made.

        If the name is locked already, nothing is counted. One command, so of many at once no more than
        may be made are let through.
        """
        recent = _recent("$attempts", now - WITHIN)
        level = _if({"$gt": ["$lockedUntil", now - FORGIVEN]}, "$level", 0)
        stages: list[Document] = [
            {"wasLocked": {"$gt": ["$lockedUntil", now]}},
            {
                "attempts": _if("$wasLocked", "$attempts", {"$concatArrays": [recent, [now]]}),
                "failures": _if({"$gt": ["$expiresAt", now]}, "$failures", 0),
                "level": level,
                "expiresAt": _if("$wasLocked", "$expiresAt", now + KEPT),
            },
            # While the name is locked there are no attempts.
            {"locks": {"$gte": [{"$size": "$attempts"}, ATTEMPTS]}},
            {
                "attempts": _if("$locks", [], "$attempts"),
                "lockedUntil": _if("$locks", _until(now), "$lockedUntil"),
                "level": _if(
                    "$locks", {"$min": [{"$add": ["$level", 1]}, len(LOCKS) - 1]}, "$level"
                ),
            },
        ]
        if name.user is not None:
            stages[0]["user"] = name.user
        document = await upsert(self._failures, self._of_name(name), *stages)
        return Locked(document["lockedUntil"]) if document["wasLocked"] else None

    async def failed(self, name: Name, now: datetime) -> Failed | None:
        """Count a failure; None if the name was cleared meanwhile."""
        also: Document = {} if name.is_known else {"failedAt": now}
        return await self._failed(self._of_name(name), also)

    async def failing_names(self, since: datetime, most: int) -> int:
        """How many names have failed, known devices and sessions left out; not more than `most`."""
        query = {"failedAt": {"$gt": since}}
        return await self._failures.count_documents(query, limit=most)

    async def clear(self, name: Name, session: ClientSession | None) -> None:
        await self._failures.delete_one({"_id": self._of_name(name)}, session=session)

    async def clear_user(
        self, user: str, names: Sequence[Name], session: ClientSession | None
    ) -> None:
        """Names, and the devices and sessions of a `User.id`."""
        ids = [self._of_name(name) for name in names]
        query = {"$or": [{"_id": {"$in": ids}}, {"user": user}]}
        await self._failures.delete_many(query, session=session)

    async def second_factor_attempt(self, user: str, now: datetime) -> Locked | None:
        """The same as `attempt` for a `User.id`. The count has no end but `clear_second_factors`."""
        is_locked = {
            "$or": [
                {"$gt": ["$lockedUntil", now]},
                {"$gte": [{"$ifNull": ["$tries", 0]}, MOST_SECOND_FACTORS]},
            ]
        }
        one_more = {"$add": [{"$ifNull": ["$tries", 0]}, 1]}
        stages: list[Document] = [
            {"wasLocked": is_locked},
            {"tries": _if("$wasLocked", "$tries", one_more)},
            {
                "locks": {
                    "$and": [
                        {"$not": "$wasLocked"},
                        {"$eq": [{"$mod": ["$tries", SECOND_FACTORS]}, 0]},
                    ]
                }
            },
            {"lockedUntil": _if("$locks", now + SECOND_FACTORS_LOCK, "$lockedUntil")},
        ]
        document = await upsert(self._failures, self._id("second factor", user), *stages)
        if not document["wasLocked"]:
            return None
        has_end = document["tries"] < MOST_SECOND_FACTORS
        return Locked(document["lockedUntil"] if has_end else None)

    async def second_factor_failed(self, user: str) -> Failed | None:
        return await self._failed(self._id("second factor", user), {})

    async def clear_second_factors(self, user: str, session: ClientSession | None) -> None:
        query = {"_id": self._id("second factor", user)}
        await self._failures.delete_one(query, session=session)

    async def refused_until(self, address: str) -> datetime | None:
        """Until when an address is refused, or was."""
        document = await self._failures.find_one({"_id": self._id("address", address)})
        return document.get("refusedUntil") if document else None

    async def failed_from(
        self,
        address: str,
        name: Name,
        now: datetime,
        *,
        within: timedelta,
        most: int,
        stop: timedelta,
    ) -> bool:
        """Note that a name has failed from an address.

        Whether these are so many names that the address is refused from now on; then its count begins again.
        """
        tag = self._of_name(name)[:_TAG_CHARACTERS]
        others = {
            "$filter": {
                "input": {"$ifNull": ["$names", []]},
                "cond": {
                    "$and": [{"$gt": ["$$this.at", now - within]}, {"$ne": ["$$this.name", tag]}]
                },
            }
        }
        document = await upsert(
            self._failures,
            self._id("address", address),
            {"names": {"$concatArrays": [others, [{"name": tag, "at": now}]]}},
            {"reached": {"$gte": [{"$size": "$names"}, most]}},
            {
                "names": _if("$reached", [], "$names"),
                "refusedUntil": _if("$reached", now + stop, "$refusedUntil"),
                "expiresAt": now + max(within, stop),
            },
        )
        return bool(document["reached"])

    async def first_alarm(self, now: datetime, within: timedelta) -> bool:
        """Whether this is the first alarm about all names for so long. It is noted."""
        document = await upsert(
            self._failures,
            self._id("all", ""),
            {"isFirst": {"$not": [{"$gt": ["$expiresAt", now]}]}},
            {"expiresAt": _if("$isFirst", now + within, "$expiresAt")},
        )
        return bool(document["isFirst"])

    async def _failed(self, key: str, also: Document) -> Failed | None:
        document = await change(
            self._failures,
            {"_id": key},
            {
                "failures": {"$add": [{"$ifNull": ["$failures", 0]}, 1]},
                "isNewLock": {"$gt": ["$lockedUntil", "$reportedLock"]},
                **also,
            },
            {"reportedLock": "$lockedUntil"},
        )
        return Failed(document["failures"], document["isNewLock"]) if document else None

    def _of_name(self, name: Name) -> str:
        return self._id(name.kind, name.identifier)

    def _id(self, kind: str, identifier: str) -> str:
        return hmac.digest(self._key, f"{kind}\0{identifier}".encode(), "sha256").hex()


def _if(condition: Any, then: Any, otherwise: Any) -> Document:
    return {"$cond": [condition, then, otherwise]}


def _recent(times: str, since: datetime) -> Document:
    return {"$filter": {"input": {"$ifNull": [times, []]}, "cond": {"$gt": ["$$this", since]}}}


def _until(now: datetime) -> Document:
    """The end of the next lock, by how many there were."""
    return {"$arrayElemAt": [[now + lock for lock in LOCKS], "$level"]}
