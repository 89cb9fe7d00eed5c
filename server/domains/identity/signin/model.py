"""Logins, and the sessions that they open."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, cast

from server.core.users import User
from server.domains.identity.credentials.challenges.model import Method
from server.domains.identity.sessions.model import Caller, Kind

# How a login names its user.
Named: TypeAlias = Literal["email", "username", "phone"]

CHALLENGE_LIFE = timedelta(minutes=10)  # for the rest of a login whose first factor was right


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


@dataclass(frozen=True, slots=True)
class Proof:
    """How a user has proved so far who it is, and the session that is asked for."""

    amr: tuple[str, ...]  # as the claim of that name
    session: Kind
    caller: Caller
    device_name: str | None = None

    def kept(self) -> dict[str, str]:
        """The part that a challenge keeps until it is solved."""
        name = {} if self.device_name is None else {"deviceName": self.device_name}
        return {"amr": " ".join(self.amr), "session": self.session, **name}

    @classmethod
    def from_kept(cls, kept: Mapping[str, str], solved_with: str | None, caller: Caller) -> "Proof":
        """The proof as it is once a challenge has been solved, if that adds a method, with it."""
        amr = (*kept["amr"].split(), *([solved_with] if solved_with else []))
        return cls(amr, cast("Kind", kept["session"]), caller, kept.get("deviceName"))


@dataclass(frozen=True, slots=True)
class Challenged:
    """The first factor was right, and another one is needed: there is no session yet."""

    challenge_id: str = field(repr=False)
    methods: Sequence[Method]
    expires_at: datetime


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
    created: bool | None = None  # whether this login has made the user
    cookie: str | None = field(default=None, repr=False)
    device_cookie: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Registered:
    user_id: str
    email: str
    verification_required: bool
