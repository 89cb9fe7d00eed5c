"""The names that logins are counted by, and how many may fail."""

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

NameKind: TypeAlias = Literal["email", "username", "phone", "device", "session"]

# Passwords.
ATTEMPTS = 5
WITHIN = timedelta(minutes=15)
LOCKS = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 4, 8, 15))
# After so long without a lock the next one is the shortest again. Sooner, who waits for that could try more
# passwords than the longest lock allows.
FORGIVEN = timedelta(hours=1)
KEPT = timedelta(days=1)  # a count, after the last attempt

# Second factors. A caller who fails there has the password.
SECOND_FACTORS = 10
SECOND_FACTORS_LOCK = timedelta(minutes=15)
MOST_SECOND_FACTORS = 100  # without success
OWNER_NOTIFIED_AT = 5

AUDITED_EACH = 5  # failures


@dataclass(frozen=True, slots=True)
class Name:
    """The name that a login is counted by: the one that was typed, or a device or session that is known.

    `identifier` is exactly what users are looked up by. Another spelling would be counted apart.
    """

    kind: NameKind
    identifier: str = field(repr=False)
    user: str | None = None  # `User.id` of whose device or session it is

    @property
    def is_known(self) -> bool:
        """Whether strangers cannot use it."""
        return self.kind in {"device", "session"}


@dataclass(frozen=True, slots=True)
class Locked:
    """`until` is None if only a success by other means, or an admin, ends it."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class Failed:
    """`count` failures since the last success; `locks` if one of them has begun a lock, once."""

    count: int
    locks: bool


def wait_until(until: datetime, now: datetime) -> timedelta:
    """In whole seconds, and never too short."""
    return timedelta(seconds=math.ceil((until - now).total_seconds()))
