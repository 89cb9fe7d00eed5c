"""Logins at outside providers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from server.domains.identity.sessions.model import Caller, Kind

# The purpose of a login: a session, or one more way in for the user who has signed in.
Purpose: TypeAlias = Literal["login", "link"]

LIFE = timedelta(minutes=10)  # of a login that has begun


class ExternalFailure(Exception):
    """The reply of a provider does not hold. The text is for the log, and has no secret."""


class CodeRefused(ExternalFailure):
    """The code is not good: it is used, old or made up, and the provider does what it should."""


class ProviderDown(Exception):
    """A provider cannot be reached, or fails itself. The text is for the log."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The facts that a provider says of a user."""

    sub: str
    email: str | None = None  # in lower case
    email_verified: bool = False
    first_name: str | None = None
    last_name: str | None = None


@dataclass(frozen=True, slots=True)
class SignedInThere:
    """A user as an ID token says, which was verified."""

    sub: str
    claims: Mapping[str, Any] = field(repr=False)
    access_token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Started:
    """A login that has begun, as who began it gets it."""

    authorization_url: str = field(repr=False)
    state: str = field(repr=False)
    login_secret: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ProviderReply:
    """The reply of a provider as it came to the `redirectUri`, and the secret of who began the login."""

    code: str = field(repr=False)
    state: str = field(repr=False)
    login_secret: str = field(repr=False)
    issuer: str | None  # if it came with the reply


@dataclass(frozen=True, slots=True)
class Wanted:
    """The session that is asked for."""

    session: Kind
    caller: Caller
    device_name: str | None = None


@dataclass(frozen=True, slots=True)
class Linked:
    """The user can sign in at the provider from now on; there is no new session."""

    user_id: str
