"""The contract's formats (finlink.rules.v1.Format), each checked by a library that knows the subject."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache

import langcodes
import phonenumbers
import pycountry
from finlink.rules.v1 import format_pb2

from server.core.clock import utc_now

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_CURRENCIES = frozenset(currency.alpha_3 for currency in pycountry.currencies)


def parse_date(text: str) -> date:
    """A calendar date `YYYY-MM-DD`. Raises ValueError."""
    if not _DATE.fullmatch(text):  # fromisoformat also takes 20240101 and 2024-W01-1
        raise ValueError(text)
    return date.fromisoformat(text)


def parse_date_or_time(text: str) -> date | datetime:
    """A date `YYYY-MM-DD`, or an RFC 3339 instant as an aware datetime. Raises ValueError."""
    try:
        return parse_date(text)
    except ValueError:
        if not _RFC_3339.fullmatch(text):  # fromisoformat takes more than RFC 3339 has
            raise
        return datetime.fromisoformat(text).astimezone(UTC)


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
        parse_date_or_time(text)
    except (ValueError, OverflowError):
        return "must be a date YYYY-MM-DD or an RFC 3339 time, as 2024-01-31T10:30:00Z"
    return None


# Each gives what would be right, or None where the text is.
CHECKS: dict[int, Callable[[str], str | None]] = {
    format_pb2.FORMAT_PHONE_NUMBER: _phone_number,
    format_pb2.FORMAT_CURRENCY_CODE: _currency,
    format_pb2.FORMAT_LANGUAGE_TAG: _language,
    format_pb2.FORMAT_PAST_DATE: _past_date,
    format_pb2.FORMAT_DATE_OR_TIME: _date_or_time,
}
