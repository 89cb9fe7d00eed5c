"""Phone numbers as users type them, and as they are stored: E.164, one form for one number."""

import re
import unicodedata
from collections.abc import Collection

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

# Letters, extensions and parameters mean other numbers to some, so they are refused.
_TYPED = re.compile(r"\+[0-9\s().-]+")
_FULLWIDTH_PLUS = "\uff0b"
_MOBILE = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}


class NotANumber(ValueError):
    """A text that names no phone number. It does not say which text."""


def parse(text: str) -> str:
    """The number that somebody typed, with its country code, as it is stored. Raises NotANumber.

    Digits of all scripts are digits; a 0 before the number, which is dialled within its country only, is left
    out.
    """
    return phonenumbers.format_number(_parsed(text), PhoneNumberFormat.E164)


def as_name(text: str) -> str:
    """The number as users are looked up by it; a text that is none names nobody, and stays as it is."""
    try:
        return parse(text)
    except NotANumber:
        return text


def problem(text: str, countries: Collection[str]) -> str | None:
    """The reason why no code can be sent to a number; None if there is none."""
    try:
        number = _parsed(text)
    except NotANumber:
        return "must be a valid phone number with its country code, as +91-9876543210"
    if phonenumbers.region_code_for_number(number) not in countries:
        return f"must be a number of a country that SMS are sent to: {', '.join(sorted(countries))}"
    if phonenumbers.number_type(number) not in _MOBILE:
        return "must be the number of a mobile phone"
    return None


def _parsed(text: str) -> phonenumbers.PhoneNumber:
    plain = text.strip().replace(_FULLWIDTH_PLUS, "+")
    digits = "".join(str(unicodedata.decimal(each, each)) for each in plain)
    if not _TYPED.fullmatch(digits):
        raise NotANumber
    try:
        number = phonenumbers.parse(digits)
    except phonenumbers.NumberParseException:
        raise NotANumber from None
    if not phonenumbers.is_valid_number(number):
        raise NotANumber
    return number
