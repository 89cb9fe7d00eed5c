"""Time zones by their names in the IANA database, and the one that people of a currency live in."""

import re
from zoneinfo import ZoneInfo

# Not `posix/…`, `localtime` and other files that stand beside the zones.
_NAME = re.compile(r"[A-Z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
_NO_PLACE = "Factory"  # a machine that nobody has set up
_OF_CURRENCY = {"INR": "Asia/Kolkata"}


def is_known(name: str) -> bool:
    """Whether the database has a zone of this name."""
    if name == _NO_PLACE or not _NAME.fullmatch(name):
        return False
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError for a folder, as Asia
        return False
    return True


def zone_of_currency(currency: str) -> str:
    """The zone of people whose money is in this currency, as far as that can be said; else UTC."""
    return _OF_CURRENCY.get(currency, "UTC")
