"""Marks records that the platform does not report any more: holdings as closed, rows as withdrawn."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from server.domains.connectors.records.writes import (
    HAPPENED,
    POSTED_TYPE,
    UNPOSTED,
    Batch,
    ordered_by,
)
from server.platforms.records import Item, Period
from server.storage.driver import ClientSession, Database, Document


class Absences:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._records = database.collection("records")

    async def mark(
        self,
        batch: Batch,
        items: Sequence[Item],
        periods: Sequence[Period],
        session: ClientSession,
        *,
        closes: bool,
    ) -> int:
        """Mark what a run did not see, and take the mark from what it saw again; gives how many rows."""
        if closes:
            await self._close_missing(batch, session)
        return await self._mark_withdrawn(batch, items, periods, session)

    async def _close_missing(self, batch: Batch, session: ClientSession) -> None:
        await self._records.update_many(
            {
                "connectorId": batch.box.records_id,
                "dataType": batch.data_type,
                "seen": {"$ne": batch.run},
                "closedAt": {"$exists": False},
            },
            {"$set": {"closedAt": batch.now, "updatedAt": batch.now}},
            session=session,
        )

    async def _mark_withdrawn(
        self,
        batch: Batch,
        items: Sequence[Item],
        periods: Sequence[Period],
        session: ClientSession,
    ) -> int:
        now = batch.now
        happened = [ordered_by(item, now) for item in items if isinstance(item.record, HAPPENED)]
        if not happened:
            return 0
        since = min([*happened, *(period.since for period in periods)])
        seen, marked = {"$eq": ["$seen", batch.run]}, {"$eq": [{"$type": "$withdrawnAt"}, "date"]}
        query = {
            "connectorId": batch.box.records_id,
            "dataType": batch.data_type,
            "at": {"$gte": since},
            "$expr": {"$eq": [seen, marked]},  # that is, few
        }
        found = await self._records.find(query, session=session).to_list(None)
        back = [each["_id"] for each in found if "withdrawnAt" in each]
        gone = [
            each["_id"]
            for each in found
            if "withdrawnAt" not in each
            and _is_of_any(periods, each["at"], batch.box.data_of(each))
        ]
        again = {UNPOSTED: True} if batch.data_type == POSTED_TYPE else {}
        changes: list[tuple[list[Any], Document]] = [
            (gone, {"$set": {"withdrawnAt": now, "updatedAt": now, **again}}),
            (back, {"$unset": {"withdrawnAt": ""}, "$set": {"updatedAt": now, **again}}),
        ]
        for ids, change in changes:
            if ids:
                await self._records.update_many({"_id": {"$in": ids}}, change, session=session)
        return len(gone) + len(back)


def _is_of_any(periods: Sequence[Period], at: datetime, data: Mapping[str, Any]) -> bool:
    return any(data.get(each.field) == each.group and at >= each.since for each in periods)
