"""Has records posted that an earlier release has stored: connector by connector, once.

The walk's place is in the database, so any process goes on with it. To come across a connector twice does no
harm: what was posted is not posted again. A server of an earlier release that still runs stores records
without a mark; they get it from the first run after that which comes across them (`records/writes.py`).
"""

from typing import Any

from server.core.clock import utc_now
from server.domains.connectors.records.postings import POSTINGS, PostingRequests
from server.storage.driver import Database, Document

_WALK = "walk"  # no connector has this id
_AT_A_TIME = 200


class PostingWalk:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._requests = PostingRequests(database)
        self._connectors = database.collection("connectors")
        self._postings = database.collection(POSTINGS)
        self._is_done = False

    async def ask_some(self) -> bool:
        """Ask for some connectors; False once all were asked for."""
        if self._is_done:
            return False
        place = await self._postings.find_one({"_id": _WALK}) or {}
        if "doneAt" in place:
            self._is_done = True
            return False
        after = {"_id": {"$gt": place["after"]}} if "after" in place else {}
        found = self._connectors.find(after, {"_id": 1}).sort("_id", 1).limit(_AT_A_TIME)
        ids: list[Any] = [each["_id"] for each in await found.to_list(None)]
        for each in ids:
            await self._requests.ask_again(str(each), None)
        change: Document = {"$max": {"after": ids[-1]}} if ids else {}
        if len(ids) < _AT_A_TIME:
            change["$set"] = {"doneAt": utc_now()}
        await self._postings.update_one({"_id": _WALK}, change, upsert=True)
        return True
