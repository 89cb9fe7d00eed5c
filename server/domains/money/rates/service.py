"""Use cases of exchange rates, and what converts amounts for other parts of Finlink."""

from collections.abc import Collection
from datetime import date, timedelta

from server.core import money
from server.core.clock import Clock
from server.core.errors import FieldError, InvalidRequest
from server.core.etags import check_etag
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.domains.money.errors import ExchangeRateNotFound
from server.domains.money.rates.converter import Converter
from server.domains.money.rates.model import (
    EURO,
    FIRST_DAY,
    GAP,
    EnteredRate,
    ExchangeRate,
    ExchangeRates,
    RateChange,
    TableState,
)
from server.domains.money.rates.store import RateStore
from server.domains.money.rates.table import CurrencyRates, RateTable, tables_of
from server.kernel import Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_MOST_CURRENCIES = 32  # whose rates one process keeps: 12 bytes a day of each
_AHEAD = timedelta(hours=14)  # by which it is later elsewhere


class RateService:
    def __init__(
        self, changes: RecordedChanges, store: RateStore, users: Users, clock: Clock
    ) -> None:
        self._changes = changes
        self._store = store
        self._users = users
        self._clock = clock
        self._version = 0
        self._kept: dict[str, CurrencyRates] = {}  # of that version, the last used at the end

    async def converter(
        self, home: str, currencies: Collection[str], since: date, until: date
    ) -> Converter:
        """Converts amounts of some currencies into `home`, on days from `since` to `until`."""
        state = await self._store.state()
        foreign = {each for each in currencies if each != home}
        needed = sorted({home, *foreign} - {EURO}) if foreign else []
        table = await self._table(state, needed, since)
        as_of = min(filter(None, map(table.newest, needed)), default=None)
        stale = self._is_stale(as_of, until)
        return Converter(home, state.version, as_of, table, stale=stale)

    async def get(self, user_id: str, day: date | None, base: str | None) -> ExchangeRates:
        """By default of the user's today, against the user's currency. Raises ExchangeRateNotFound."""
        if day is None or base is None:
            preferences = (await self._users.get(user_id)).preferences
            day, base = day or preferences.today(self._clock.now()), base or preferences.currency
        return await self._rates(day, base, None)

    async def update(self, change: RateChange, reply: KeyedReply | None = None) -> ExchangeRates:
        """Raises InvalidRequest naming what is wrong, ExchangeRateNotFound of the base, EtagMismatch."""
        self._check(change)
        rates = {each: EnteredRate(change.base, rate) for each, rate in change.rates.items()}

        async def work(session: ClientSession) -> ExchangeRates:
            state = await self._store.state(session)
            table = await self._table_of_day(state, change.day, session)
            if not table.has_ecb_rate(change.base, change.day):
                raise ExchangeRateNotFound
            if change.etag is not None:
                before = await self._rates(change.day, change.base, session)
                check_etag(change.etag, before.etag)
            await self._store.enter(change.day, rates, change.removed, session)
            return await self._rates(change.day, change.base, session)

        event = Event("exchange_rates.updated", fields=sorted({*rates, *change.removed}))
        return await self._changes.make(work, lambda _: event, reply)

    def _check(self, change: RateChange) -> None:
        wrong = []
        if not FIRST_DAY <= change.day <= (self._clock.now() + _AHEAD).date():
            wrong.append(FieldError("date", f"must be from {FIRST_DAY} to today"))
        for currency in change.rates:
            place = f"rates.{currency}"
            if currency == EURO:
                wrong.append(FieldError(place, "is what the ECB's rates are against, and has none"))
            elif currency == change.base:
                wrong.append(FieldError(place, "is the base"))
            elif money.decimals(currency) is None:
                message = "must be an ISO 4217 currency code that has amounts, as INR"
                wrong.append(FieldError(place, message))
        for number, currency in enumerate(change.removed):
            if currency in change.rates:
                wrong.append(FieldError(f"removed[{number}]", "is among the rates, too"))
        if wrong:
            raise InvalidRequest(fields=wrong)
        if not change.rates and not change.removed:
            raise InvalidRequest("Nothing to update: send at least one of rates and removed")

    async def _rates(self, day: date, base: str, session: ClientSession | None) -> ExchangeRates:
        state = await self._store.state(session)
        table = await self._table_of_day(state, day, session)
        as_of = state.newest
        if as_of is None or table.ratio(base, EURO, day) is None:
            raise ExchangeRateNotFound
        stale = self._is_stale(as_of, day)
        rates = []
        for currency in sorted(state.currencies - {base}):
            if (rate := table.cross(currency, base, day)) is not None:
                source = "admin" if rate.entered else "ecb"
                rates.append(ExchangeRate(currency, rate.text, rate.day, source))
        etag = f"{state.version}-{day}-{base}{'-stale' if stale else ''}"
        return ExchangeRates(day, base, tuple(rates), as_of, stale, etag)

    def _is_stale(self, as_of: date | None, until: date) -> bool:
        return as_of is not None and min(until, self._clock.now().date()) - as_of > GAP

    async def _table_of_day(
        self, state: TableState, day: date, session: ClientSession | None
    ) -> RateTable:
        """All that counts on one day."""
        also = _newest_days(state, state.currencies)
        days = await self._store.days(day - GAP, day, also=also, session=session)
        return RateTable(state.newest, tables_of(state.currencies, day - GAP, days))

    async def _table(
        self, state: TableState, currencies: Collection[str], since: date
    ) -> RateTable:
        """The rates of some currencies from a day on, most of them read before."""
        start = date(max(max(since, FIRST_DAY) - GAP, FIRST_DAY).year, 1, 1)
        found = await self._currencies(state, currencies, start)
        bases = {base for rates in found.values() for base in rates.bases}
        found |= await self._currencies(state, bases - found.keys(), start)
        return RateTable(state.newest, found)

    async def _currencies(
        self, state: TableState, currencies: Collection[str], start: date
    ) -> dict[str, CurrencyRates]:
        if state.version != self._version:
            self._kept, self._version = {}, state.version
        kept = self._kept
        known = state.currencies.intersection(currencies) - {EURO}
        found = {each: kept[each] for each in known if each in kept and kept[each].since <= start}
        if missing := sorted(known - found.keys()):
            also = _newest_days(state, missing)
            days = await self._store.days(start, also=also, of=missing)
            found |= tables_of(missing, start, days)
        for currency, rates in found.items():
            kept.pop(currency, None)
            kept[currency] = rates
        while len(kept) > _MOST_CURRENCIES:
            del kept[next(iter(kept))]
        return found


def _newest_days(state: TableState, currencies: Collection[str]) -> list[date]:
    """The newest days of these: what counts after them, however old it is."""
    newest = ({**state.ecb}, {**state.entered})
    return sorted({days[each] for days in newest for each in currencies if each in days})
