"""Challenges: what somebody who has begun something has yet to prove."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

# The purpose. A challenge of one kind never serves for another.
Kind: TypeAlias = Literal[
    "second_factor", "reauth", "otp", "phone_change", "former_owner", "external"
]
# With what it is solved.
Method: TypeAlias = Literal["totp", "recovery_code", "date_of_birth"]

TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChallenge:
    """`data` is sealed where it is stored, and `code`, if it has one, is stored as a keyed hash."""

    kind: Kind
    expires_at: datetime
    user: str | None = None  # `User.id`; None of nobody
    subject: str | None = None  # the keyed hash of whom it was sent to
    code: str | None = field(default=None, repr=False)
    data: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """`id` is a secret of who has begun it."""

    id: str = field(repr=False)
    kind: Kind
    expires_at: datetime
    user: str | None
    subject: str | None
    code_digest: bytes | None = field(repr=False)
    data: dict[str, str] = field(repr=False)
