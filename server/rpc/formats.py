"""The contract's formats (finlink.rules.v1.Format), each checked by a library that knows the subject."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

import langcodes
import phonenumbers
import pycountry
from finlink.rules.v1 import format_pb2

from server.core.clock import utc_now

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:)([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)
_LEAP_SECOND = time(23, 59, 59)  # begins a second after it, in UTC
_CURRENCIES = frozenset(currency.alpha_3 for currency in pycountry.currencies)


def parse_date(text: str) -> date:
    """A calendar date `YYYY-MM-DD`. Raises ValueError."""
    if not _DATE.fullmatch(text):  # fromisoformat also takes 20240101 and 2024-W01-1
        raise ValueError(text)
    return date.fromisoformat(text)


def parse_date_or_time(text: str, *, up: bool = False) -> date | datetime:
    """A date `YYYY-MM-DD`, or an RFC 3339 time as an aware datetime.

    A fraction may be of any length. MongoDB keeps milliseconds, so a time between two of them becomes the one
    before, or if rounded `up` the one after. Raises ValueError or OverflowError.
    """
    found = _RFC_3339.fullmatch(text)
    if found is None:
        return parse_date(text)
    day, hour_and_minute, second, fraction, sign, hours, minutes = found.groups(default="")
    is_leap = second == "60"
    clock = time.fromisoformat(hour_and_minute + ("59" if is_leap else second))
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    value = datetime.combine(date.fromisoformat(day), clock, UTC)
    value += offset if sign == "-" else -offset
    if is_leap:
        # The 61st second of the last minute of a month in UTC. Clocks count none: it is the second after.
        if value.time() != _LEAP_SECOND or (value + timedelta(days=1)).day != 1:
            raise ValueError(text)
        value += timedelta(seconds=1)
    milliseconds = int(fraction[:3].ljust(3, "0")) + (up and fraction[3:].strip("0") != "")
    return value + timedelta(milliseconds=milliseconds)


def _phone_number(text: str) -> str | None:
    try:
        valid = text.startswith("+") and phonenumbers.is_valid_number(phonenumbers.parse(text))
    except phonenumbers.NumberParseException:
        valid = False
    return (
        None if valid else "must be a valid phone number with its country code, as +91-9876543210"
    )


def _currency(text: str) -> str | None:
    return None if text in _CURRENCIES else "must be an ISO 4217 currency code, as INR"


@lru_cache(1_000)  # most callers speak one of a few
def _language(text: str) -> str | None:
    valid = "_" not in text and langcodes.tag_is_valid(text)
    return None if valid else "must be a BCP 47 language tag, as en or hi"


def _past_date(text: str) -> str | None:
    try:
        past = date(1850, 1, 1) <= parse_date(text) < utc_now().date()
    except ValueError:
        return "must be a real date, YYYY-MM-DD"
    return None if past else "must be a date before today and after 1850"


def _date_or_time(text: str) -> str | None:
    try:
        parse_date_or_time(text, up=True)
    except (ValueError, OverflowError):
        lost_plus = " " in text and _RFC_3339.fullmatch(text.replace(" ", "+"))
        hint = "; in a URL + is written %2B" if lost_plus else ""
        return f"must be a date YYYY-MM-DD or an RFC 3339 time, as 2024-01-31T10:30:00Z{hint}"
    return None


# Each gives what would be right, or None where the text is.
CHECKS: dict[int, Callable[[str], str | None]] = {
    format_pb2.FORMAT_PHONE_NUMBER: _phone_number,
    format_pb2.FORMAT_CURRENCY_CODE: _currency,
    format_pb2.FORMAT_LANGUAGE_TAG: _language,
    format_pb2.FORMAT_PAST_DATE: _past_date,
    format_pb2.FORMAT_DATE_OR_TIME: _date_or_time,
}
