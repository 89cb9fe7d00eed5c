"""Request tokens, access tokens and their ends."""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.clock import Clock
from sandbox.platforms.zerodha.replies import token_error
from sandbox.platforms.zerodha.times import next_token_death

REQUEST_TOKEN_LIFE = timedelta(minutes=3)


@dataclass(frozen=True)
class PendingLogin:
    api_key: str
    user_id: str
    expires_at: datetime


@dataclass(frozen=True)
class Session:
    api_key: str
    user_id: str
    access_token: str
    refresh_token: str
    login_time: datetime
    expires_at: datetime


class Sessions:
    """One api secret serves every api_key, so that any configured key works."""

    def __init__(self, clock: Clock, api_secret: str, approved: Collection[str] = ()) -> None:
        self._clock = clock
        self._api_secret = api_secret
        self._approved = frozenset(approved)
        self._pending: dict[str, PendingLogin] = {}
        self._by_access_token: dict[str, Session] = {}
        self._by_refresh_token: dict[str, Session] = {}
        self._by_owner: dict[tuple[str, str], Session] = {}
        # Whose any token is or was, dead ones as well.
        self._owners: dict[str, str] = {}

    def snapshot(self) -> list[dict[str, str]]:
        """The sessions whose access or refresh token still opens something."""
        live = {*self._by_access_token.values(), *self._by_refresh_token.values()}
        return [
            {
                "api_key": session.api_key,
                "user_id": session.user_id,
                "access_token": session.access_token
                if session.access_token in self._by_access_token
                else "",
                "refresh_token": session.refresh_token
                if session.refresh_token in self._by_refresh_token
                else "",
                "login_time": session.login_time.isoformat(),
                "expires_at": session.expires_at.isoformat(),
            }
            for session in sorted(live, key=lambda session: session.login_time)
        ]

    def restore(self, snapshot: list[dict[str, str]]) -> None:
        for entry in snapshot:
            session = Session(
                api_key=entry["api_key"],
                user_id=entry["user_id"],
                access_token=entry["access_token"],
                refresh_token=entry["refresh_token"],
                login_time=datetime.fromisoformat(entry["login_time"]),
                expires_at=datetime.fromisoformat(entry["expires_at"]),
            )
            self._by_owner[session.api_key, session.user_id] = session
            for token, sessions in (
                (session.access_token, self._by_access_token),
                (session.refresh_token, self._by_refresh_token),
            ):
                if token:
                    sessions[token] = session
                    self._owners[token] = session.user_id

    def log_in(self, api_key: str, user_id: str) -> str:
        """Remember a login on the web page; returns its one-time request token."""
        now = self._clock.now()
        self._pending = {
            token: login for token, login in self._pending.items() if login.expires_at > now
        }
        request_token = self._new_token(user_id)
        self._pending[request_token] = PendingLogin(api_key, user_id, now + REQUEST_TOKEN_LIFE)
        return request_token

    def exchange(self, api_key: str, request_token: str, checksum: str) -> Session:
        self._check(api_key, request_token, checksum)
        login = self._pending.get(request_token)
        if login is None or login.api_key != api_key or login.expires_at <= self._clock.now():
            raise token_error("Token is invalid or has expired.")
        del self._pending[request_token]
        return self._open(api_key, login.user_id)

    def renew(self, api_key: str, refresh_token: str, checksum: str) -> Session:
        """Only approved platforms hold a refresh token to renew with (Kite Connect docs)."""
        self._check(api_key, refresh_token, checksum)
        return self._open(api_key, self._owner_of_refresh_token(api_key, refresh_token).user_id)

    def authenticate(self, api_key: str, access_token: str) -> Session:
        session = self._by_access_token.get(access_token)
        if session is None or session.api_key != api_key or session.expires_at <= self._clock.now():
            raise token_error("Incorrect `api_key` or `access_token`.")
        return session

    def end(self, api_key: str, access_token: str) -> None:
        session = self.authenticate(api_key, access_token)
        del self._by_access_token[session.access_token]

    def forget_refresh_token(self, api_key: str, refresh_token: str) -> None:
        self._owner_of_refresh_token(api_key, refresh_token)
        del self._by_refresh_token[refresh_token]

    def end_all(self, user_id: str | None, *, revoke: bool) -> None:
        """End the sessions of a user, or all; refresh tokens live on unless revoked."""
        for session in self._by_owner.values():
            if user_id in {None, session.user_id}:
                self._by_access_token.pop(session.access_token, None)
                if revoke:
                    self._by_refresh_token.pop(session.refresh_token, None)

    def owner_of(self, token: str) -> str | None:
        return self._owners.get(token)

    def _open(self, api_key: str, user_id: str) -> Session:
        """Start a session; a new token for the same api_key and user kills the older one."""
        older = self._by_owner.get((api_key, user_id))
        if older is not None:
            self._by_access_token.pop(older.access_token, None)
            self._by_refresh_token.pop(older.refresh_token, None)
        now = self._clock.now()
        session = Session(
            api_key=api_key,
            user_id=user_id,
            access_token=self._new_token(user_id),
            refresh_token=self._new_token(user_id) if api_key in self._approved else "",
            login_time=now,
            expires_at=next_token_death(now),
        )
        self._by_owner[api_key, user_id] = session
        self._by_access_token[session.access_token] = session
        if session.refresh_token:
            self._by_refresh_token[session.refresh_token] = session
        return session

    def _owner_of_refresh_token(self, api_key: str, refresh_token: str) -> Session:
        session = self._by_refresh_token.get(refresh_token)
        if session is None or session.api_key != api_key:
            raise token_error("Invalid `refresh_token`.")
        return session

    def _check(self, api_key: str, token: str, checksum: str) -> None:
        """SHA-256 over key, token and secret without separators (Kite Connect docs)."""
        plain = f"{api_key}{token}{self._api_secret}".encode()
        if not hmac.compare_digest(hashlib.sha256(plain).hexdigest(), checksum):
            raise token_error("Invalid `checksum`.")

    def _new_token(self, user_id: str) -> str:
        token = secrets.token_hex(16)
        self._owners[token] = user_id
        return token
