"""The session of a user who has signed in: its tokens, and the next ones before they expire.

`Session` decides, and makes no calls: `renewal` yields the requests, and renewing.py makes them.
"""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

import grpc
from finlink.identity.v1.login_pb2 import LoginRequest, RefreshRequest
from finlink.identity.v1.session_pb2 import SessionData

from finlink_client import policy
from finlink_client.errors import FinlinkError, LimitExceeded, Unavailable
from finlink_client.gen.reasons import (
    DeadlineExceeded,
    LoginFailed,
    SessionEnded,
    TokenExpired,
    Unauthenticated,
)

_PAUSE = 10.0  # seconds until a renewal that failed for a while is tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens of a session. Times are POSIX; printing shows no token."""

    refresh_token: str = field(repr=False)
    access_token: str = field(default="", repr=False)
    due: float = 0.0  # when the next tokens are to be fetched
    expires: float = 0.0
    ends: float = 0.0  # the session, unless it is renewed before
    # Of the call that uses the refresh token: if its reply is lost, the same call brings the same successor.
    refresh_key: str = field(default_factory=lambda: str(uuid.uuid4()), repr=False)

    @classmethod
    def of(cls, data: SessionData, now: float) -> Tokens:
        """The tokens of a reply that came at `now`."""
        return cls(
            refresh_token=data.refresh_token,
            access_token=data.token,
            due=now + data.expires_in * policy.RULES.token_life_used,
            expires=now + data.expires_in,
            ends=now + data.refresh_expires_in,
        )


class TokenStore(Protocol):
    """Where the tokens of a session are kept, possibly for several processes."""

    def lock(self) -> AbstractContextManager[None]:
        """Keeps other processes from renewing the tokens."""

    def load(self) -> Tokens | None:
        """The newest tokens; None if nobody is signed in."""

    def save(self, tokens: Tokens) -> None: ...


class Memory:
    """Keeps the tokens of this process alone."""

    def __init__(self, refresh_token: str | None) -> None:
        self._tokens = None if refresh_token is None else Tokens(refresh_token=refresh_token)

    def lock(self) -> AbstractContextManager[None]:
        return nullcontext()

    def load(self) -> Tokens | None:
        return self._tokens

    def save(self, tokens: Tokens) -> None:
        self._tokens = tokens


@dataclass(frozen=True)
class Refresh:
    """A refresh that is to be made, with its idempotency key."""

    request: RefreshRequest
    key: str


Step: TypeAlias = LoginRequest | Refresh


class Session:
    """A user's session: renewed with its refresh token, or begun again with the login if there is one."""

    def __init__(
        self,
        store: TokenStore,
        login: LoginRequest | None = None,
        on_session: Callable[[SessionData], None] | None = None,
    ) -> None:
        self.store = store
        self._login = login
        self._on_session = on_session
        self._tokens = store.load()
        self._refused: LoginFailed | None = None

    @property
    def present(self) -> str:
        """The access token as it is; empty if there is none."""
        return self._tokens.access_token if self._tokens else ""

    def usable(self, expired: str | None = None) -> str | None:
        """The access token, unless the next one is due, or it is the one that has `expired`."""
        if self._tokens is None or self._tokens.access_token in ("", expired):
            return None
        return self._tokens.access_token if time.time() < self._tokens.due else None

    def helps(self, error: BaseException | None) -> bool:
        """Whether a call that failed so may succeed with the next token."""
        ended = isinstance(error, SessionEnded) and self._login is not None
        return ended or isinstance(error, TokenExpired)

    def renewal(self, expired: str | None) -> Generator[Step, SessionData, str]:
        """Yields what must be called and returns the access token. Raises FinlinkError."""
        self._tokens = self.store.load()  # another process may have been quicker
        if (token := self.usable(expired)) is not None:
            return token
        if self._refused is not None:
            raise copy.copy(self._refused)
        if (tokens := self._tokens) is not None:
            request = RefreshRequest(refresh_token=tokens.refresh_token)
            try:
                return self._take((yield Refresh(request, tokens.refresh_key)))
            except (SessionEnded, Unauthenticated):
                if self._login is None:
                    raise
            except (Unavailable, DeadlineExceeded, LimitExceeded):
                now = time.time()
                if tokens.access_token in ("", expired) or now >= tokens.expires:
                    raise
                self._tokens = replace(tokens, due=now + _PAUSE)
                return tokens.access_token
        return self._take((yield from self._sign_in()))

    def _sign_in(self) -> Generator[Step, SessionData, SessionData]:
        """A login that was refused is not tried again: more failures would lock the name."""
        if self._login is None:
            raise _nobody()
        try:
            data = yield self._login
        except LoginFailed as error:
            self._refused = error
            raise
        if data.HasField("challenge"):
            self._refused = _unanswered()
            raise self._refused
        return data

    def _take(self, data: SessionData) -> str:
        tokens = Tokens.of(data, time.time())
        self._tokens = tokens
        self.store.save(tokens)
        if self._on_session is not None:
            self._on_session(data)
        return tokens.access_token


def of_arguments(
    login: LoginRequest | None,
    refresh_token: str | None,
    on_session: Callable[[SessionData], None] | None,
    store: TokenStore | None = None,
    *,
    access_token: str | None,
) -> Session | None:
    """The session that a client was given; None without one. Raises ValueError."""
    if login is None and refresh_token is None and store is None:
        return None
    if access_token is not None:
        raise ValueError("access_token stands alone: a session brings its own")
    return Session(store or Memory(refresh_token), login, on_session)


def _unanswered() -> LoginFailed:
    """There is nobody whom a client could ask for the code of an app."""
    return LoginFailed(
        "LOGIN_FAILED",
        "A second factor is needed: complete the login with VerifySecondFactor, and give the client "
        "its refresh token",
        grpc_code=grpc.StatusCode.UNAUTHENTICATED,
    )


def _nobody() -> FinlinkError:
    return SessionEnded(
        "SESSION_ENDED", "Nobody is signed in", grpc_code=grpc.StatusCode.UNAUTHENTICATED
    )
