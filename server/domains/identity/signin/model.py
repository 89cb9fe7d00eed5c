"""Logins, and the sessions that they open."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from server.core.users import User
from server.domains.identity.sessions.model import Caller, Kind

# How a login names its user.
Named: TypeAlias = Literal["email", "username", "phone"]


@dataclass(frozen=True, slots=True)
class Login:
    """A login with a password."""

    name_kind: Named
    name: str  # normalised: an address in lower case
    password: str = field(repr=False)
    session: Kind
    caller: Caller
    device_token: str | None = field(default=None, repr=False)
    device_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A session that has begun or gone on, as its owner gets it."""

    session_id: str
    expires_in: int  # seconds: of the access token, or of the cookie's session
    token: str | None = field(default=None, repr=False)
    token_type: str | None = None
    refresh_token: str | None = field(default=None, repr=False)
    refresh_expires_in: int | None = None
    device_token: str | None = field(default=None, repr=False)
    user: User | None = None
    cookie: str | None = field(default=None, repr=False)
    device_cookie: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Registered:
    user_id: str
    email: str
    verification_required: bool
