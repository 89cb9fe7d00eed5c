from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from finlink.rules.v1 import format_pb2
from hypothesis import given
from hypothesis import strategies as st

from server.rpc.formats import CHECKS, parse_date, parse_date_or_time
from server.rpc.times import date_bounds

PHONE = CHECKS[format_pb2.FORMAT_PHONE_NUMBER]
CURRENCY = CHECKS[format_pb2.FORMAT_CURRENCY_CODE]
LANGUAGE = CHECKS[format_pb2.FORMAT_LANGUAGE_TAG]
PAST = CHECKS[format_pb2.FORMAT_PAST_DATE]
DATE_OR_TIME = CHECKS[format_pb2.FORMAT_DATE_OR_TIME]


@given(text=st.text(max_size=60) | st.from_regex(r"[+0-9TZ:. -]{0,40}", fullmatch=True))
def test_any_text_gets_a_reply(text: str) -> None:
    for check in CHECKS.values():
        reply = check(text)
        assert reply is None or reply.startswith("must be ")


@pytest.mark.parametrize(
    "number", ["+91-9876543210", "+919876543210", "+91 98765 43210", "+1 (650) 253-0000"]
)
def test_phone_numbers(number: str) -> None:
    assert PHONE(number) is None


@pytest.mark.parametrize(
    "number",
    ["", "+", "+0-12", "9876543210", "091-9876543210", "+91-98765", "+91-98765432101234",
     "+999-9876543210", "+91-9876543210 or another", "+91-987654321O", '{"$gt":""}'],
)  # fmt: skip
def test_no_phone_numbers(number: str) -> None:
    assert PHONE(number) == "must be a valid phone number with its country code, as +91-9876543210"


@pytest.mark.parametrize("code", ["INR", "USD", "EUR", "XAU"])
def test_currencies(code: str) -> None:
    assert CURRENCY(code) is None


@pytest.mark.parametrize("code", ["", "inr", "INR ", "₹", "RUPEE", "ABC", "356"])
def test_no_currencies(code: str) -> None:
    assert CURRENCY(code) == "must be an ISO 4217 currency code, as INR"


@pytest.mark.parametrize("tag", ["en", "hi", "pt-BR", "zh-Hant-TW", "sl-rozaj", "mul"])
def test_languages(tag: str) -> None:
    assert LANGUAGE(tag) is None


@pytest.mark.parametrize("tag", ["", "e", "en_US", "english", "en-", "-en", "zz", "हिन्दी", "en US"])
def test_no_languages(tag: str) -> None:
    assert LANGUAGE(tag) == "must be a BCP 47 language tag, as en or hi"


def test_a_past_date_is_before_today() -> None:
    today = datetime.now(UTC).date()
    # Two days on, and two back: whatever the clock does around midnight.
    assert PAST((today - timedelta(days=2)).isoformat()) is None
    assert PAST((today + timedelta(days=1)).isoformat()) == (
        "must be a date before today and after 1850"
    )
    assert PAST("1849-12-31") == "must be a date before today and after 1850"
    assert PAST("2000-02-29") is None


NO_DATES = [
    "", "1990-02-30", "2023-02-29", "1990-1-1", "1990-01-1", "19900101", "01-01-1990", "1990/01/01",
    "1990-W01-1", "1990-001", "0000-01-01", "1990-13-01", "1990-00-10", " 1990-1-1", "1990-01-01Z",
    "+990-01-01", "１９９０-01-01", "1990-01-01T00:00:00Z",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_DATES)
def test_no_dates(text: str) -> None:
    assert PAST(text) == "must be a real date, YYYY-MM-DD"
    with pytest.raises(ValueError, match=r".*"):
        parse_date(text)


@given(day=st.dates())
def test_dates_are_read(day: date) -> None:
    assert parse_date(day.isoformat()) == day
    assert parse_date_or_time(day.isoformat()) == day
    assert DATE_OR_TIME(day.isoformat()) is None


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-01-31T10:30:00Z", datetime(2024, 1, 31, 10, 30, tzinfo=UTC)),
        ("2024-01-31T10:30:00.250Z", datetime(2024, 1, 31, 10, 30, 0, 250_000, tzinfo=UTC)),
        ("2024-01-31T10:30:00+05:30", datetime(2024, 1, 31, 5, 0, tzinfo=UTC)),
        ("2024-01-31T10:30:00-00:00", datetime(2024, 1, 31, 10, 30, tzinfo=UTC)),
        ("2024-01-31t10:30:00z", datetime(2024, 1, 31, 10, 30, tzinfo=UTC)),
        ("2024-01-31T10:30:00+23:59", datetime(2024, 1, 30, 10, 31, tzinfo=UTC)),
        ("2024-01-31T10:30:00-23:59", datetime(2024, 2, 1, 10, 29, tzinfo=UTC)),
        ("2024-01-31T10:30:00.2Z", datetime(2024, 1, 31, 10, 30, 0, 200_000, tzinfo=UTC)),
        (
            "2024-01-31T10:30:00.25" + "0" * 40 + "Z",
            datetime(2024, 1, 31, 10, 30, 0, 250_000, tzinfo=UTC),
        ),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60.5Z", datetime(2017, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        ("2017-01-01T05:29:60+05:30", datetime(2017, 1, 1, tzinfo=UTC)),
        ("1990-12-31T15:59:60-08:00", datetime(1991, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999Z", datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
    ],
)
def test_instants(text: str, instant: datetime) -> None:
    assert DATE_OR_TIME(text) is None
    assert parse_date_or_time(text) == instant


@pytest.mark.parametrize(
    "text",
    ["", "now", "2024-01-31T10:30:00", "2024-02-30T10:30:00Z", "2024-01-31T24:30:00Z",
     "2024-01-31 ", "10:30:00Z", "1706697000", "0001-01-01T00:00:00+14:00",
     "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:60Z", "9999-12-31T23:59:59.9999Z",
     "0000-01-01T00:00:00Z", "2024-01-31T10:60:00Z", "2024-01-31T10:30:61Z", "2024-01-31T10:30:60Z",
     "2016-12-30T23:59:60Z", "2016-12-31T23:59:60+01:00", "2024-01-31T10:30:00+24:00",
     "2024-01-31T10:30:00+05:60", "2024-01-31T10:30:00.Z", "2024-01-31 10:30:00Z",
     "2024-01-31T10:30:00Z+00:00", "２０２４-01-31T10:30:00Z"],
)  # fmt: skip
def test_no_instants(text: str) -> None:
    assert DATE_OR_TIME(text) == (
        "must be a date YYYY-MM-DD or an RFC 3339 time, as 2024-01-31T10:30:00Z"
    )


def test_a_plus_that_a_url_made_a_space_is_explained() -> None:
    assert "%2B" in (DATE_OR_TIME("2024-01-31T10:30:00 05:30") or "")


@pytest.mark.parametrize("digits", ["2501", "2509", "250" + "0" * 50 + "1"])
def test_between_two_milliseconds_a_range_has_those_inside(digits: str) -> None:
    first, last = date_bounds(f"2024-01-31T10:30:00.{digits}Z", f"2024-01-31T10:30:01.{digits}Z")
    assert first == datetime(2024, 1, 31, 10, 30, 0, 251_000, tzinfo=UTC)
    assert last == datetime(2024, 1, 31, 10, 30, 1, 250_000, tzinfo=UTC)


@given(seconds=st.integers(-62_000_000_000, 253_000_000_000), minutes=st.integers(-1439, 1439))
def test_times_of_any_offset_are_read(seconds: int, minutes: int) -> None:
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, milliseconds=250)
    text = instant.astimezone(timezone(timedelta(minutes=minutes))).isoformat()
    assert parse_date_or_time(text) == parse_date_or_time(text.lower(), up=True) == instant


@pytest.mark.parametrize(
    "text",
    ["2024-W01-1T10:00:00+00:00", "20240101T100000Z", "2024-01-01T10Z", "2024-01-01T10:00Z",
     "2024-01-01T10:00:00,5Z", "2024-01-01T10:00:00+0530", "2024-01-01T10:00:00+05:30:15",
     "2024-01-01T10:00:00 +00:00"],
)  # fmt: skip
def test_iso_8601_is_not_rfc_3339(text: str) -> None:
    """What Python's own reader takes beyond RFC 3339."""
    assert DATE_OR_TIME(text) is not None
