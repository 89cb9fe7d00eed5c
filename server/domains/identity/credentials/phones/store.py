"""Counts of SMS in MongoDB: collection `sms_counts`, which all hosts share.

There is a document for each number, each address and all together, under an HMAC of what it is about. Each
change is one command that counts only what may pass, so of many at once no more than may be are let through.
Driver errors pass through.
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo import IndexModel

from server.domains.identity.credentials.phones.model import (
    ADDRESS_WITHIN,
    ALL_WITHIN,
    NUMBERS_PER_ADDRESS,
    PER_NUMBER,
)
from server.storage.driver import Database, Document
from server.storage.updates import upsert

SMS_COUNTS = "sms_counts"
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    SMS_COUNTS: [IndexModel("expiresAt", expireAfterSeconds=0)]
}
_TAG_CHARACTERS = 16  # of a number's HMAC, enough to count numbers
_LONGEST = max(within for within, _ in PER_NUMBER)


class SmsCountStore:
    def __init__(self, database: Database, key: bytes) -> None:
        """`key`: 32 bytes, that hash numbers and addresses."""
        self._counts = database.collection(SMS_COUNTS)
        self._key = key

    async def take_of_number(self, number: str, now: datetime) -> tuple[bool, Sequence[datetime]]:
        """Count an SMS to a number, if one may be sent; and when those were sent that count, oldest first."""
        free = [{"$lt": [_size("$sent", now - within), most]} for within, most in PER_NUMBER]
        document = await upsert(
            self._counts,
            self._id("number", number),
            {"sent": _recent("$sent", "$$this", now - _LONGEST)},
            {"passes": {"$and": free}},
            {
                "sent": _if("$passes", {"$concatArrays": ["$sent", [now]]}, "$sent"),
                "expiresAt": _if("$passes", now + _LONGEST, "$expiresAt"),
            },
        )
        return document["passes"], document["sent"]

    async def take_of_address(self, address: str, number: str, now: datetime) -> datetime | None:
        """Count a number for an address; if it is one too many, when the next one may pass."""
        tag = self._id("number", number)[:_TAG_CHARACTERS]
        numbers = {"$concatArrays": ["$numbers", [{"name": tag, "at": now}]]}
        document = await upsert(
            self._counts,
            self._id("address", address),
            {"numbers": _recent("$numbers", "$$this.at", now - ADDRESS_WITHIN)},
            {"isKnown": {"$in": [tag, "$numbers.name"]}},
            {
                "passes": {
                    "$or": ["$isKnown", {"$lt": [{"$size": "$numbers"}, NUMBERS_PER_ADDRESS]}]
                }
            },
            {
                "numbers": _if({"$and": ["$passes", {"$not": "$isKnown"}]}, numbers, "$numbers"),
                "expiresAt": _if("$passes", now + ADDRESS_WITHIN, "$expiresAt"),
            },
        )
        if document["passes"]:
            return None
        oldest: datetime = min(each["at"] for each in document["numbers"])
        return oldest + ADDRESS_WITHIN

    async def take_of_all(self, most: int, now: datetime) -> bool:
        """Count an SMS among all; False if there were `most` within the hour.

        They are counted by the minute, so that the document stays small however many there are.
        """
        minute = now.replace(second=0, microsecond=0)
        this = {"$filter": {"input": "$minutes", "cond": {"$eq": ["$$this.at", minute]}}}
        others = {"$filter": {"input": "$minutes", "cond": {"$ne": ["$$this.at", minute]}}}
        one_more = {"at": minute, "count": {"$add": [{"$sum": "$this.count"}, 1]}}
        document = await upsert(
            self._counts,
            self._id("all", ""),
            {"minutes": _recent("$minutes", "$$this.at", now - ALL_WITHIN)},
            {
                "this": this,
                "others": others,
                "passes": {"$lt": [{"$sum": "$minutes.count"}, most]},
            },
            {
                "minutes": _if("$passes", {"$concatArrays": ["$others", [one_more]]}, "$minutes"),
                "this": "$$REMOVE",
                "others": "$$REMOVE",
                "expiresAt": now + ALL_WITHIN + timedelta(minutes=1),
            },
        )
        return bool(document["passes"])

    def _id(self, kind: str, identifier: str) -> str:
        return hmac.digest(self._key, f"{kind}\0{identifier}".encode(), "sha256").hex()


def _if(condition: Any, then: Any, otherwise: Any) -> Document:
    return {"$cond": [condition, then, otherwise]}


def _recent(items: str, at: str, since: datetime) -> Document:
    """The items of a list, which may be missing, from after `since`."""
    return {"$filter": {"input": {"$ifNull": [items, []]}, "cond": {"$gt": [at, since]}}}


def _size(items: str, since: datetime) -> Document:
    return {"$size": _recent(items, "$$this", since)}
