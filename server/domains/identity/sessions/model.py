"""Login sessions: a user is signed in on one device, until it ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from server.core.model import Id, Model
from server.core.principals import Role

# By a refresh token and the access tokens that it gets, or by a browser's cookie.
Kind: TypeAlias = Literal["token", "cookie"]
# Why a session ended before its time.
EndedBy: TypeAlias = Literal[
    "logout",
    "revoked",  # by its owner, in the list of sessions
    "staff",
    "limit",  # there were newer ones
    "reused",  # its refresh token was known to somebody else
    "credentials",  # a password, factor or address was changed
    "status",  # the user is not active
]

MOST_SESSIONS = 50  # of a user at a time
USER_AGENT_CHARACTERS = 150  # enough to name system and browser; the rest is not stored


class LoginSession(Model, frozen=True, kw_only=True):
    """`user` is `User.id`; the role is the user's, and changes with it.

    `counter`, `rotated_at` and `rotation_key` are of kind `token`, `cookie_digest` of kind `cookie`.
    """

    id: Id
    user: Id
    user_id: str
    role: Role
    kind: Kind
    amr: tuple[str, ...]  # how the user signed in, as the claim of that name
    created_at: datetime
    auth_time: datetime  # when the user last proved who it is
    last_seen_at: datetime  # to the minute
    expires_at: datetime
    max_at: datetime  # it is never prolonged past this
    counter: int | None = None  # of the newest refresh token
    rotated_at: datetime | None = None  # when that was made
    rotation_key: bytes | None = None  # the digest of the idempotency key of the call that made it
    cookie_digest: bytes | None = None
    address: str | None = None
    user_agent: str | None = None
    device_name: str | None = None
    ended_at: datetime | None = None
    ended_by: EndedBy | None = None

    def is_live(self, now: datetime) -> bool:
        return self.ended_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a call comes from, as far as its caller says it truly."""

    address: str | None = None
    user_agent: str | None = None
    # Of the session that its browser has, which another one with a cookie replaces.
    cookie: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NewSession:
    """A login that succeeded. `user` is `User.id`."""

    user: str
    kind: Kind
    amr: tuple[str, ...]
    caller: Caller = Caller()
    device_name: str | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """A session, and what only its owner gets: the refresh token, or the value of the cookie."""

    session: LoginSession
    secret: str = field(repr=False)
    ended: Sequence[LoginSession]  # the longest unused of too many


@dataclass(frozen=True, slots=True)
class Rotation:
    """The changes of a refresh: the next refresh token of a session, and until when that is good."""

    at: datetime
    expires_at: datetime  # at most; the session's `max_at` may come before
    key: bytes | None  # the digest of the call's idempotency key
    caller: Caller


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The successor of a refresh token, and what an access token is made of."""

    session: LoginSession  # as it was at `at` or later: access tokens of it count as issued then
    refresh_token: str = field(repr=False)
    at: datetime
    repeated: bool  # it had been given before
