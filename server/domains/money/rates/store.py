"""Exchange rates in MongoDB: collection `exchange_rates`, a document a day, and `exchange_rate_state`."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne
from pymongo.errors import BulkWriteError

from server.domains.money.rates.model import DayRates, EnteredRate, TableState
from server.storage.driver import ClientSession, Database, Document
from server.storage.mapping import Mapped, stored

RATES = "exchange_rates"
STATE = "exchange_rate_state"
# Days are found by their `_id`, and there is one state.
INDEXES: Mapping[str, Sequence[IndexModel]] = {RATES: [], STATE: []}

_DUPLICATE_KEY = 11000
_STATE = {"_id": "table"}
_MOST_LOADED = 50  # of which it is remembered that they were loaded


class RateStore:
    def __init__(self, database: Database) -> None:
        self._days = database.collection(RATES)
        self._states = database.collection(STATE)
        self._day = Mapped(DayRates)
        self._state = Mapped(TableState)

    async def state(self, session: ClientSession | None = None) -> TableState:
        return self._state.read(await self._states.find_one(_STATE, session=session) or {})

    async def days(
        self,
        since: date,
        until: date | None = None,
        *,
        also: Sequence[date] = (),
        of: Sequence[str] | None = None,
        session: ClientSession | None = None,
    ) -> list[DayRates]:
        """The rates of each day from `since` to `until`, and of some days beside, in order.

        `of` are the currencies to read; all of them by default.
        """
        bounds = {"$gte": since} if until is None else {"$gte": since, "$lte": until}
        query = {"$or": [{"_id": stored(bounds)}, {"_id": {"$in": stored(list(also))}}]}
        fields = None if of is None else _fields_of(of)
        cursor = self._days.find(query, fields, session=session).sort("_id", ASCENDING)
        return [self._day.read(document) for document in await cursor.to_list(None)]

    async def add_ecb(self, days: Sequence[DayRates]) -> None:
        """Rates of the ECB, each day's as a whole. It does no harm to add them again."""
        documents = [{"_id": stored(day.id), "ecb": day.ecb} for day in days]
        # A day is seldom there already, because of an entered rate; to update all takes ten times as long.
        try:
            await self._days.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            wrong = error.details["writeErrors"]
            if any(each["code"] != _DUPLICATE_KEY for each in wrong):
                raise
            there = [documents[each["index"]] for each in wrong]
            await self._days.bulk_write(
                [UpdateOne({"_id": day["_id"]}, {"$set": {"ecb": day["ecb"]}}) for day in there],
                ordered=False,
            )

    async def loaded(
        self,
        newest: Mapping[str, date],
        source: str | None,
        fetched_at: datetime | None,
        session: ClientSession,
    ) -> None:
        """Note the newest days, by currency, of rates that were added, and from where they are."""
        update: Document = {"$max": {f"ecb.{each}": stored(day) for each, day in newest.items()}}
        update["$inc"] = {"version": 1 if newest else 0}
        if source is not None:
            update["$push"] = {"loaded": {"$each": [source], "$slice": -_MOST_LOADED}}
        if fetched_at is not None:
            update["$max"]["fetchedAt"] = fetched_at
        await self._states.update_one(_STATE, update, upsert=True, session=session)

    async def enter(
        self,
        day: date,
        rates: Mapping[str, EnteredRate],
        removed: Sequence[str],
        session: ClientSession,
    ) -> None:
        """Set and remove entered rates of a day, in a transaction."""
        # First, so that of two changes one waits for the other.
        await self._states.update_one(
            _STATE, {"$inc": {"version": 1}}, upsert=True, session=session
        )
        await self._days.update_one(
            {"_id": stored(day)},
            {
                "$set": {f"entered.{each}": stored(rate) for each, rate in rates.items()},
                "$unset": {f"entered.{each}": "" for each in removed},
            },
            upsert=bool(rates),
            session=session,
        )
        newest = {each: await self._newest_entered(each, session) for each in (*rates, *removed)}
        await self._states.update_one(
            _STATE,
            {
                "$set": {f"entered.{each}": when for each, when in newest.items() if when},
                "$unset": {f"entered.{each}": "" for each, when in newest.items() if not when},
            },
            session=session,
        )

    async def _newest_entered(self, currency: str, session: ClientSession) -> Any:
        found = await self._days.find_one(
            {f"entered.{currency}": {"$exists": True}},
            {"_id": 1},
            sort=[("_id", DESCENDING)],
            session=session,
        )
        return found["_id"] if found else None


def _fields_of(currencies: Sequence[str]) -> dict[str, int]:
    return {f"{source}.{each}": 1 for source in ("ecb", "entered") for each in currencies}
