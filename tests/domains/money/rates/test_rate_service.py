"""Exchange rates on a real MongoDB: what counts, what is kept in memory, and what admins change."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from server.core.errors import EtagMismatch, InvalidRequest
from server.core.users import Preferences
from server.domains.money.errors import ExchangeRateNotFound
from server.domains.money.rates.model import ExchangeRates, RateChange
from server.domains.money.rates.service import RateService
from server.domains.money.rates.store import RATES
from tests.domains.money.rates.conftest import TODAY, Rates

FRIDAY = date(2026, 10, 30)
THURSDAY = FRIDAY - timedelta(days=1)
DAYS = {
    date(2022, 3, 1): "USD 1.1, RUB 117.201",
    date(2025, 12, 31): "USD 1.175, INR 105.5, BGN 1.9558",
    THURSDAY: "USD 1.113, INR 106.0345",
    FRIDAY: "USD 1.1172, INR 106.084",
}


@pytest.fixture
async def service(rates: Rates) -> RateService:
    """Of a table that ends on a Friday a month ago."""
    await rates.load(DAYS)
    return rates.service()


def change(
    day: date, base: str, rates: Mapping[str, str] | None = None, removed: Sequence[str] = ()
) -> RateChange:
    return RateChange(day, base, rates or {}, removed)


def shown(rates: ExchangeRates) -> dict[str, tuple[str, date, str]]:
    return {each.currency: (each.rate, each.rate_date, each.source) for each in rates.rates}


async def test_rates_of_a_day(service: RateService) -> None:
    found = await service.get("asha", FRIDAY, "EUR")
    assert shown(found) == {
        "INR": ("106.084", FRIDAY, "ecb"),
        "USD": ("1.1172", FRIDAY, "ecb"),
    }
    assert (found.date, found.base) == (FRIDAY, "EUR")
    assert (found.rates_as_of, found.rates_stale) == (FRIDAY, False)
    sunday = await service.get("asha", FRIDAY + timedelta(days=2), "INR")
    assert shown(sunday) == {
        "EUR": ("0.00942649221372", FRIDAY, "ecb"),
        "USD": ("0.0105312771012", FRIDAY, "ecb"),
    }
    assert sunday.etag != found.etag


async def test_a_currency_is_there_as_long_as_it_has_rates(service: RateService) -> None:
    lev = await service.get("asha", date(2026, 1, 5), "EUR")
    assert shown(lev)["BGN"] == ("1.9558", date(2025, 12, 31), "ecb")
    assert "RUB" not in shown(lev)
    with pytest.raises(ExchangeRateNotFound):
        await service.get("asha", date(2026, 10, 29), "BGN")
    with pytest.raises(ExchangeRateNotFound):
        await service.get("asha", date(1998, 1, 1), "INR")


async def test_by_default_it_is_the_user_s_today_and_currency(
    rates: Rates, service: RateService
) -> None:
    """At 20:00 UTC it is the next day in India."""
    found = await service.get("asha", None, None)
    assert (found.date, found.base) == (TODAY + timedelta(days=1), "INR")
    rates.people.preferences = Preferences("USD", time_zone="America/New_York")
    found = await service.get("asha", None, None)
    assert (found.date, found.base) == (TODAY, "USD")
    assert (found.rates_as_of, found.rates_stale) == (FRIDAY, True)


async def test_without_any_rate(rates: Rates) -> None:
    service = rates.service()
    converter = await service.converter("INR", ["USD"], THURSDAY, FRIDAY)
    assert converter.convert(1_00, "USD", FRIDAY) is None
    assert converter.convert(1_00, "INR", FRIDAY) == 1_00
    assert (converter.as_of, converter.stale, converter.version) == (None, False, 0)
    with pytest.raises(ExchangeRateNotFound):
        await service.get("asha", FRIDAY, "EUR")
    with pytest.raises(ExchangeRateNotFound):
        await service.update(change(FRIDAY, "EUR", {"AED": "4"}))
    assert await rates.database.collection(RATES).count_documents({}) == 0


async def test_a_converter(service: RateService) -> None:
    converter = await service.converter("INR", ["USD", "EUR", "RUB", "AED"], THURSDAY, FRIDAY)
    assert converter.convert(1_000_00, "USD", FRIDAY) == 94_955_25
    assert converter.convert(1_000_00, "EUR", THURSDAY) == 106_034_50
    assert converter.convert(1_00, "RUB", FRIDAY) is None
    assert converter.convert(1_00, "AED", FRIDAY) is None
    assert (converter.as_of, converter.stale) == (FRIDAY, False)
    later = await service.converter("INR", ["USD"], THURSDAY, TODAY)
    assert later.convert(1_000_00, "USD", TODAY) == 94_955_25
    assert (later.as_of, later.stale) == (FRIDAY, True)
    # What is yet to come is not older than what is known today.
    rates_then = await service.converter("INR", ["USD"], THURSDAY, TODAY + timedelta(days=900))
    assert rates_then.stale
    own = await service.converter("INR", ["INR"], THURSDAY, TODAY)
    assert (own.as_of, own.stale) == (None, False)


@pytest.mark.parametrize(("days", "stale"), [(7, False), (8, True)])
async def test_rates_are_stale_after_a_week(
    rates: Rates, service: RateService, days: int, stale: bool
) -> None:
    rates.clock.turn(timedelta(days=-32 + days))
    until = rates.clock.now().date()
    assert until - FRIDAY == timedelta(days=days)
    for last in (until, until + timedelta(days=400)):
        assert (await service.converter("INR", ["USD"], THURSDAY, last)).stale is stale


async def test_an_entered_rate(rates: Rates, service: RateService) -> None:
    entered = await service.update(change(FRIDAY, "USD", {"AED": "3.6725", "INR": "95"}))
    assert shown(entered) == {
        "AED": ("3.6725", FRIDAY, "admin"),
        "EUR": ("0.895094880057", FRIDAY, "ecb"),
        "INR": ("95", FRIDAY, "admin"),
    }
    assert await service.get("asha", FRIDAY, "USD") == entered
    converter = await service.converter("INR", ["AED", "USD"], THURSDAY, TODAY)
    assert converter.convert(36_725_00, "AED", FRIDAY) == 950_000_00
    assert converter.convert(1_00, "USD", TODAY) == 95_00
    assert (converter.as_of, converter.stale) == (FRIDAY, True)
    (event,) = await rates.events("exchange_rates.updated")
    assert event["fields"] == ["AED", "INR"]

    again = await service.update(change(FRIDAY, "USD", removed=["INR"]))
    assert shown(again)["INR"] == ("94.955245256", FRIDAY, "ecb")
    assert shown(again)["AED"] == ("3.6725", FRIDAY, "admin")
    without = await service.update(change(FRIDAY, "EUR", removed=["AED", "SAR"]))
    assert shown(without) == shown(await service.get("asha", FRIDAY, "EUR"))
    assert shown(without).keys() == {"INR", "USD"}
    with pytest.raises(ExchangeRateNotFound):
        await service.get("asha", FRIDAY, "AED")


async def test_a_change_may_name_the_revision_that_it_is_meant_for(service: RateService) -> None:
    before = await service.get("asha", FRIDAY, "USD")
    of_before = replace(change(FRIDAY, "USD", {"AED": "3.6725"}), etag=before.etag)
    after = await service.update(of_before)
    with pytest.raises(EtagMismatch) as refused:
        await service.update(of_before)
    assert refused.value.metadata == {"etag": after.etag}
    assert await service.get("asha", FRIDAY, "USD") == after


async def test_a_removal_lets_the_entered_rate_before_it_go_on(service: RateService) -> None:
    await service.update(change(THURSDAY, "USD", {"AED": "3.5"}))
    await service.update(change(TODAY, "USD", {"AED": "4"}))
    # It is against the dollar of the ECB's newest day.
    assert shown(await service.get("asha", TODAY, "USD"))["AED"] == ("4", FRIDAY, "admin")
    left = await service.update(change(TODAY, "USD", removed=["AED"]))
    assert shown(left)["AED"] == ("3.5", THURSDAY, "admin")


async def test_loading_again_never_changes_what_was_entered(
    rates: Rates, service: RateService
) -> None:
    await service.update(change(FRIDAY, "USD", {"AED": "3.6725", "INR": "95"}))
    before = await service.get("asha", FRIDAY, "USD")
    await rates.load({**DAYS, date(2026, 11, 2): "USD 1.12, INR 107"})
    after = await service.get("asha", FRIDAY, "USD")
    assert after.rates == before.rates
    assert (after.rates_as_of, after.etag != before.etag) == (date(2026, 11, 2), True)
    newer = await service.get("asha", date(2026, 11, 2), "USD")
    assert shown(newer)["AED"] == ("3.6725", FRIDAY, "admin")


async def test_every_worker_converts_by_the_newest_rates(
    rates: Rates, service: RateService
) -> None:
    other = rates.service()
    for each in (service, other):
        converter = await each.converter("EUR", ["USD"], THURSDAY, FRIDAY)
        assert converter.convert(111_72, "USD", FRIDAY) == 100_00
    await service.update(change(FRIDAY, "EUR", {"USD": "2"}))
    for each in (service, other):
        converter = await each.converter("EUR", ["USD"], THURSDAY, FRIDAY)
        assert converter.convert(2_00, "USD", FRIDAY) == 1_00
        assert converter.convert(111_30, "USD", THURSDAY) == 100_00


async def test_earlier_days_are_read_when_they_are_asked_for(
    rates: Rates, service: RateService, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[date] = []
    days = rates.store.days

    async def counted(since: date, *args: Any, **options: Any) -> Any:
        reads.append(since)
        return await days(since, *args, **options)

    monkeypatch.setattr(rates.store, "days", counted)
    spring = date(2022, 3, 4)
    for since in (THURSDAY, FRIDAY, date(2026, 2, 1), spring, date(2022, 1, 8), THURSDAY):
        converter = await service.converter("EUR", ["USD", "RUB"], since, FRIDAY)
        assert converter.convert(111_72, "USD", FRIDAY) == 100_00
    assert converter.convert(1_10, "USD", spring) == 1_00
    assert converter.convert(117_20, "RUB", spring) == 1_00
    assert reads == [date(2026, 1, 1), date(2022, 1, 1)]
    await service.converter("EUR", ["USD"], date(2022, 1, 7), FRIDAY)
    assert reads[2:] == [date(2021, 1, 1)]


async def test_an_old_entered_rate_counts_on_days_long_after(service: RateService) -> None:
    await service.update(change(date(2022, 3, 1), "USD", {"AED": "3.6725"}))
    converter = await service.converter("USD", ["AED"], THURSDAY, FRIDAY)
    assert converter.convert(3_672_50, "AED", FRIDAY) == 1_000_00
    assert (converter.as_of, converter.stale) == (date(2022, 3, 1), True)


async def test_two_admins_at_once(rates: Rates, service: RateService) -> None:
    codes = ["AED", "SAR", "QAR", "KWD", "OMR", "BHD", "JOD", "LKR"]
    await asyncio.gather(
        *(rates.service().update(change(FRIDAY, "USD", {code: "2"})) for code in codes)
    )
    assert shown(await service.get("asha", FRIDAY, "USD")).keys() == {*codes, "EUR", "INR"}
    assert (await rates.store.state()).version == 1 + len(codes)


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        (change(date(1998, 12, 31), "USD", {"AED": "1"}), {"date"}),
        (change(TODAY + timedelta(days=2), "USD", {"AED": "1"}), {"date"}),
        (change(FRIDAY, "USD", {"EUR": "1", "USD": "1"}), {"rates.EUR", "rates.USD"}),
        (change(FRIDAY, "USD", {"XAU": "1", "ABC": "1"}), {"rates.XAU", "rates.ABC"}),
        (change(FRIDAY, "USD", {"AED": "1"}, ["SAR", "AED"]), {"removed[1]"}),
        (change(FRIDAY, "USD"), set()),
    ],
)
async def test_what_cannot_be_entered(
    rates: Rates, service: RateService, wrong: RateChange, fields: set[str]
) -> None:
    before = await rates.store.state()
    with pytest.raises(InvalidRequest) as refused:
        await service.update(wrong)
    assert {error.field for error in refused.value.fields} == fields
    assert await rates.store.state() == before


@pytest.mark.parametrize("base", ["AED", "RUB", "BGN"])
async def test_a_base_must_have_a_rate_of_the_ecb_s(service: RateService, base: str) -> None:
    with pytest.raises(ExchangeRateNotFound):
        await service.update(change(FRIDAY, base, {"SAR": "1"}))
