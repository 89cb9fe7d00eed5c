"""The worth of accounts without transactions: collection `account_values`, one document a month."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING, IndexModel

from server.domains.money.ledger.month import stored_number
from server.domains.money.posting.model import ValueMonth
from server.security.sealed_box import SealedBox
from server.storage.driver import ClientSession, Database, Document

VALUES = "account_values"
INDEXES: Mapping[str, Sequence[IndexModel]] = {VALUES: [IndexModel("owner")]}


class ValueStore:
    """The worth of accounts by day. Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._values = database.collection(VALUES)

    async def keep(
        self,
        owner: str,
        account_id: str,
        day: date,
        units: int,
        box: SealedBox,
        session: ClientSession,
    ) -> None:
        """Of one day the last value counts."""
        name = _month(account_id, day)
        found = await self._values.find_one({"_id": name}, session=session)
        month = _month_of(found, box) if found else ValueMonth([], [])
        known = dict(zip(month.days, month.units, strict=True))
        known[day.day] = stored_number(units)
        days = sorted(known)
        sealed = box.seal(
            ValueMonth(days, [known[each] for each in days]), place=f"{VALUES}/{name}"
        )
        await self._values.update_one(
            {"_id": name},
            {"$set": {"owner": ObjectId(owner), "sealed": sealed}},
            upsert=True,
            session=session,
        )

    async def on(
        self,
        account_id: str,
        day: date,
        box: SealedBox,
        session: ClientSession | None = None,
    ) -> int | None:
        """The newest value of that day or before; None if there is none."""
        query = {"_id": {"$gte": f"{account_id}/", "$lte": _month(account_id, day)}}
        newest = [("_id", DESCENDING)]
        for document in (
            await self._values.find(query, session=session).sort(newest).limit(2).to_list(None)
        ):
            month = _month_of(document, box)
            is_last = document["_id"] == _month(account_id, day)
            for of_month, units in sorted(zip(month.days, month.units, strict=True), reverse=True):
                if not is_last or of_month <= day.day:
                    return int(units)
        return None

    async def of_accounts(
        self, account_ids: Iterable[str], since: date, until: date, box: SealedBox
    ) -> dict[str, list[tuple[date, int]]]:
        """All values of some days by account, in their order."""
        found: dict[str, list[tuple[date, int]]] = {}
        for account_id in account_ids:
            query = {"_id": {"$gte": _month(account_id, since), "$lte": _month(account_id, until)}}
            for document in await self._values.find(query).sort("_id", ASCENDING).to_list(None):
                year, number = map(int, document["_id"].rpartition("/")[2].split("-"))
                month = _month_of(document, box)
                for day, units in zip(month.days, month.units, strict=True):
                    if since <= date(year, number, day) <= until:
                        values = found.setdefault(account_id, [])
                        values.append((date(year, number, day), int(units)))
        return found

    async def erase(self, owner: str, account_id: str | None = None) -> None:
        """All of a user, or of an account."""
        query: Document = {"owner": ObjectId(owner)}
        if account_id is not None:
            query["_id"] = {"$gte": f"{account_id}/", "$lt": f"{account_id}0"}
        await self._values.delete_many(query)


def _month(account_id: str, day: date) -> str:
    return f"{account_id}/{day:%Y-%m}"


def _month_of(document: Document, box: SealedBox) -> ValueMonth:
    return box.open(document["sealed"], ValueMonth, place=f"{VALUES}/{document['_id']}")
