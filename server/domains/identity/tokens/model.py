"""The content of access tokens, the keys that sign them, and what ends them before their time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from server.core.principals import Role, SignedIn
from server.security.ring import Wrapped

LEEWAY = timedelta(seconds=30)  # by which the clocks of two hosts may differ


@dataclass(frozen=True, slots=True)
class Facts:
    """The content of an access token about a user who has signed in; the fields are those of `SignedIn`."""

    user: str
    user_id: str
    session_id: str
    role: Role
    amr: tuple[str, ...]
    auth_time: datetime


@dataclass(frozen=True, slots=True)
class TokenBearer(SignedIn):
    """A user who has signed in, as a verified access token says."""

    issued_at: datetime  # to the millisecond: the facts are of this moment
    key_id: str


@dataclass(frozen=True, slots=True)
class CookieBearer(SignedIn):
    """A user who has signed in, as the session of a cookie says."""

    as_of: datetime  # a moment before the session was read


@dataclass(frozen=True, slots=True)
class StoredSigningKey:
    """A signing key as it is stored: its private half is sealed by the key ring."""

    id: str  # the `kid` of tokens
    algorithm: str
    number: int  # of the keys of an algorithm, from 1 on; unique, so a key has one successor
    signs_from: datetime
    sealed: Wrapped


# What is revoked: a session, or all that a user had, as ended; a user's tokens, or those that a key has
# signed, as expired. Where there is a time, it is what was issued up to then.
Kind: TypeAlias = Literal["session", "user", "tokens", "key"]


@dataclass(frozen=True, slots=True)
class Revocation:
    kind: Kind
    of: str  # a session's id, a `User.id` or a key's id
    expires_at: datetime  # when every token that it is about has expired
    before: datetime | None = None
