"""Which day it is for a user."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from server.core.users import Preferences

# Nasty case 11 of money: already the next year in India.
NEW_YEAR = datetime(2026, 12, 31, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("preferences", "zone", "today"),
    [
        (Preferences(), "Asia/Kolkata", date(2027, 1, 1)),
        (Preferences(currency="USD"), "UTC", date(2026, 12, 31)),
        (Preferences(time_zone="UTC"), "UTC", date(2026, 12, 31)),
        (Preferences("USD", time_zone="Asia/Kolkata"), "Asia/Kolkata", date(2027, 1, 1)),
        (Preferences(time_zone="Pacific/Apia"), "Pacific/Apia", date(2027, 1, 1)),
        (Preferences(time_zone="Moon/Tycho"), "Asia/Kolkata", date(2027, 1, 1)),  # of another tool
    ],
)
def test_the_day_is_that_of_the_user_s_time_zone(
    preferences: Preferences, zone: str, today: date
) -> None:
    assert preferences.effective_time_zone == zone
    assert preferences.today(NEW_YEAR) == today


def test_the_day_begins_at_midnight_in_summer_too() -> None:
    berlin = Preferences(time_zone="Europe/Berlin")
    midnight = datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert berlin.today(midnight) == date(2026, 7, 1)
    assert berlin.today(midnight - timedelta(seconds=1)) == date(2026, 6, 30)
