"""The one Protocol every platform adapter implements, and what can go wrong with a platform.

    PlatformError
    ├── CredentialsRefused     the platform says no to what the caller sent
    ├── SessionEnded           the session is over; only a new login helps
    ├── PermissionRefused      this data type is not allowed; the session is fine
    ├── PlatformUnavailable    broken transport, time-out or 5xx; later may work
    │   └── Throttled          429; later will work
    │       └── OverRateLimit  our own limit is reached: the platform was not even asked
    └── PlatformDataError      a reply that cannot be understood

Messages of these errors are shown to callers and stored in a connector's history: they hold no
secret.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from finlink_words import DataType

from server.platforms.records import Item, Period


class PlatformError(Exception):
    """Base of all; `code` is what a connector's error list shows."""

    code = "PLATFORM_ERROR"


class CredentialsRefused(PlatformError):
    """The platform refuses the credentials, or a field of them is missing or malformed.

    `field` is the name of the credential to blame (`username`, `requestToken`, …), if one is.
    """

    code = "INVALID_CREDENTIALS"

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class SessionEnded(PlatformError):
    code = "REAUTH_REQUIRED"


class PermissionRefused(PlatformError):
    code = "PERMISSION_REFUSED"


class PlatformUnavailable(PlatformError):
    """`retry_after` is the wait the platform asked for, where it named one."""

    code = "PLATFORM_UNAVAILABLE"

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Throttled(PlatformUnavailable):
    """Too many calls: a sync waits and goes on rather than fail."""

    code = "PLATFORM_THROTTLED"


class OverRateLimit(Throttled):
    """`retry_after` is when its turn comes: asking sooner is of no use."""


class PlatformDataError(PlatformError):
    code = "PLATFORM_DATA_ERROR"


@dataclass(frozen=True, slots=True)
class PlatformSession:
    """A login that the platform accepts.

    `secrets` is all that later calls need (tokens, keys, the MCP session id): strings only,
    encrypted before it is stored, never logged. `renewable`: `renew` can bring another session
    before this one ends.
    """

    platform_user_id: str
    account_type: str
    expires_at: datetime
    secrets: Mapping[str, str] = field(repr=False)
    renewable: bool = False


@dataclass(frozen=True, slots=True)
class LoginRequired:
    """The user must log in on the platform's page; `secrets` continues that login afterwards."""

    login_url: str = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Contents:
    """A platform's reply for one data type, read: items, each with its identity.

    `faults`: why it lacks some; then nothing follows from what it lacks. `periods`: for which it has all.
    """

    items: Sequence[Item]
    faults: Sequence[PlatformError] = ()
    periods: Sequence[Period] = ()


@dataclass(frozen=True, slots=True)
class Fetched:
    """A platform's reply for one data type, not read yet.

    `digest`, of the replies as they came, distinguishes it from other replies. `contents` reads them; it
    raises SessionEnded, or the first fault if nothing can be read.
    """

    digest: str
    contents: Callable[[], Contents]


# Awaits the moment at which a rate limit allows one call.
Slot: TypeAlias = Callable[[], Awaitable[None]]
# The slots for so many calls of a key, by which a platform counts them. Raises OverRateLimit if the first
# is further away than the duration given.
RateLimit: TypeAlias = Callable[[str, timedelta, int], Awaitable[Sequence[Slot]]]


class Reading(Protocol):
    """The data of one session for one run, which asks for nothing twice."""

    async def fetch(self, data_type: DataType) -> Fetched:
        """A data type as the platform reports it now.

        Raises SessionEnded, PermissionRefused, PlatformUnavailable or PlatformDataError.
        """


class Platform(Protocol):
    """One financial platform. Implementations are stateless but for their HTTP client."""

    name: str
    data_types: Sequence[DataType]  # what the platform can give; the permissions it can grant

    async def connect(self, credentials: Mapping[str, str]) -> PlatformSession | LoginRequired:
        """Log in with what the caller sent.

        Raises CredentialsRefused, PlatformUnavailable or PlatformDataError.
        """

    async def complete(
        self, secrets: Mapping[str, str], credentials: Mapping[str, str]
    ) -> PlatformSession | LoginRequired:
        """Finish a login that `connect` left pending, or begin again where that is not possible.

        `secrets` is what `LoginRequired` or an ended `Session` held; `credentials` may be empty.
        """

    async def renew(self, session: PlatformSession) -> PlatformSession:
        """Extend the session where the platform can; else prove that it is still accepted.

        Raises SessionEnded where only a new login helps.
        """

    def reading(self, session: PlatformSession) -> AbstractAsyncContextManager[Reading]:
        """Read data while inside. Nothing else may be asked of the session by the same task then."""

    async def disconnect(self, session: PlatformSession) -> None:
        """End the session at the platform. Raises any PlatformError; callers do it best effort."""

    async def abandon(self, login: LoginRequired) -> None:
        """Forget a login that was begun. Raises any PlatformError; callers treat it as best effort."""

    async def aclose(self) -> None:
        """Close the HTTP client."""
