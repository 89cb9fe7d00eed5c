"""Who makes a call: an API key, a user who has signed in, a service on a user's behalf, or nobody."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Protocol

from server.core.access import ApiKey


class Role(IntEnum):
    """The role of a user. Each includes those before it."""

    USER = 1
    MODERATOR = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user who has signed in, as an access token or a cookie says."""

    user: str  # `User.id`, never given again
    user_id: str
    session_id: str
    role: Role
    kind: str  # `token` or `cookie`
    amr: tuple[
        str, ...
    ]  # how the user proved who it is: `pwd`, `otp`, `totp`, `recovery_code`, `external`
    auth_time: datetime  # when it did so last
    expires_at: datetime  # of the token, or of the cookie's session


class SignIns(Protocol):
    """Checks the credentials that users send. A user that it returns is signed in at this moment."""

    @property
    def are_fresh(self) -> bool:
        """Whether it knows which sessions have ended; if not, read first."""

    async def read(self) -> None: ...

    async def by_token(self, token: str) -> SignedIn:
        """Raises Unauthenticated, TokenExpired, SessionEnded."""

    @property
    def origins(self) -> Collection[str]:
        """The pages that may call with a cookie, as browsers name them."""

    async def by_cookie(self, header: str) -> SignedIn | None:
        """The user of a `cookie` header; None if it has no cookie of a session.

        Raises Unauthenticated, SessionEnded.
        """

    def check(self, signed_in: SignedIn) -> None:
        """Raise TokenExpired or SessionEnded if it holds no more."""


@dataclass(frozen=True, slots=True)
class Represented:
    """A user on whose behalf somebody else calls."""

    user: str  # `User.id`
    user_id: str


@dataclass(frozen=True, slots=True)
class Principal:
    """The credentials of a call, each of them checked. A key and a user together have the lesser right."""

    key: ApiKey | None = None
    signed_in: SignedIn | None = None
    on_behalf_of: Represented | None = None
    # Whether the call came without a credential where Finlink needs none; it is served as an admin's.
    is_open: bool = False

    @property
    def user(self) -> SignedIn | Represented | None:
        """The user whose own data the call is about, if it is a user's at all."""
        return self.on_behalf_of or self.signed_in

    @property
    def scope(self) -> str:
        """Identifies the caller among all, for what belongs to one caller only."""
        key = f"key {self.key.name}" if self.key else ""
        signed_in = f"user {self.signed_in.user}" if self.signed_in else ""
        behalf = f"for {self.on_behalf_of.user}" if self.on_behalf_of else ""
        return " ".join(filter(None, (key, signed_in, behalf)))


NOBODY = Principal()
