"""The login methods of users."""

from datetime import datetime

from server.core.model import Id, Model
from server.domains.identity.credentials.challenges.model import Method


class Password(Model, frozen=True):
    hash: str
    changed_at: datetime


class Totp(Model, frozen=True):
    """An authenticator app; it counts once it has shown a code."""

    sealed: str  # its secret
    started_at: datetime | None = None
    confirmed_at: datetime | None = None
    last_step: int = 0  # the newest whose code was used: each is good once


class Phone(Model, frozen=True):
    """A number that signs in: whoever has the phone has shown it."""

    number: str  # E.164
    proved_at: datetime  # the last time
    # Dates of birth that were tried since, by who may have been given the number.
    birth_tries: int = 0


class RecoveryCode(Model, frozen=True):
    """A code that stands in for an app that is lost, once."""

    digest: bytes
    used_at: datetime | None = None


class External(Model, frozen=True):
    """An account at an outside provider."""

    key: str  # issuer, `|`, and the `sub` there
    provider: str  # its name when it was linked
    linked_at: datetime


class Account(Model, frozen=True):
    """The login methods of one user."""

    id: Id  # `User.id`
    user_id: str
    password: Password | None = None
    totp: Totp | None = None
    recovery_codes: tuple[RecoveryCode, ...] = ()
    phone: Phone | None = None
    externals: tuple[External, ...] = ()  # one of a provider
    # Grows when the devices that have signed in are to count as strangers again.
    device_epoch: int = 0

    @property
    def active_totp(self) -> Totp | None:
        """The app that logins need."""
        return self.totp if self.totp is not None and self.totp.confirmed_at is not None else None

    @property
    def providers(self) -> tuple[str, ...]:
        """The names of the outside providers at which the user can sign in."""
        return tuple(each.provider for each in self.externals)

    @property
    def second_factors(self) -> tuple[Method, ...]:
        """The methods that complete a login; none if the first factor is enough."""
        if self.active_totp is None:
            return ()
        return ("totp", "recovery_code")
