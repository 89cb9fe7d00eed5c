"""Zerodha through the Kite Connect v3 REST API. Source: Kite Connect documentation.

A login happens on Zerodha's own page, which hands the app a one-time request token; that token and
the app's secret buy an access token, good until the next 06:00 in India.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from server.platforms.base import (
    CredentialsRefused,
    LoginRequired,
    PermissionRefused,
    PlatformDataError,
    PlatformSession,
    SessionEnded,
    Slot,
)
from server.platforms.document import IST, Node
from server.platforms.http import Reply, Retry, Wire
from server.platforms.manifest import Resources
from server.platforms.zerodha.platform import ZERODHA, ZerodhaSettings
from server.platforms.zerodha.reading import BEGUN, KiteReading
from server.platforms.zerodha.replies import LABEL, RequestRefused, looks_like_data, read_reply

_SESSIONS_END_AT = time(6, 0)
# They go into a header and a checksum: nothing but visible ASCII makes sense there.
_CREDENTIAL = re.compile(r"[\x21-\x7e]{1,256}")


class Zerodha:
    name = ZERODHA.name
    data_types = ZERODHA.data_types

    def __init__(self, resources: Resources[ZerodhaSettings], retry: Retry | None = None) -> None:
        secret = resources.settings.api_secret
        self._base_url = resources.urls["base_url"].rstrip("/")
        self._login_url = resources.urls["login_url"]
        self._api_key = resources.settings.api_key
        self._api_secret = secret.get_secret_value() if secret else None
        self._driver = resources.login_driver
        self._clock = resources.clock
        self._retry = retry or Retry()
        self._rate_limit = resources.rate_limit
        self._wire = Wire(self.name, LABEL, self._base_url, resources.clock)

    async def connect(self, credentials: Mapping[str, str]) -> PlatformSession | LoginRequired:
        return await self.complete({}, credentials)

    async def complete(
        self, secrets: Mapping[str, str], credentials: Mapping[str, str]
    ) -> PlatformSession | LoginRequired:
        api_key = _first("apiKey", credentials.get("apiKey"), secrets.get("api_key"), self._api_key)
        api_secret = _first(
            "apiSecret", credentials.get("apiSecret"), secrets.get("api_secret"), self._api_secret
        )
        login_url = f"{self._login_url}?{urlencode({'v': '3', 'api_key': api_key})}"
        if request_token := credentials.get("requestToken"):
            _check("requestToken", request_token)
            return await self._exchange(api_key, api_secret, request_token, "requestToken")
        username, password = credentials.get("username"), credentials.get("password")
        if self._driver is not None and username and password:
            handed = await self._driver.log_in(login_url, username, password)
            if not (request_token := handed.get("request_token")):
                raise PlatformDataError("The sandbox login page gave no request token")
            return await self._exchange(api_key, api_secret, request_token, None)
        return LoginRequired(login_url, {"api_key": api_key, "api_secret": api_secret})

    async def _exchange(
        self, api_key: str, api_secret: str, request_token: str, field: str | None
    ) -> PlatformSession:
        """Trade a request token for a session. Once only: a token dies with its first use."""
        form = _form("request_token", request_token, api_key, api_secret)
        try:
            data = await self._call("POST", "/session/token", form=form)
        except (SessionEnded, PermissionRefused, RequestRefused):
            raise CredentialsRefused(
                "Zerodha refuses the login: the request token is invalid or used up, or the API "
                "key and secret do not belong to it",
                field,
            ) from None
        login_time = data.read("login_time", Node.instant) or self._clock()
        kept = _secrets(api_key, api_secret, data)
        return PlatformSession(
            platform_user_id=data.get("user_id").word(),
            account_type=data.get("user_type").word(),
            expires_at=next_session_end(login_time),
            secrets=kept,
            renewable="refresh_token" in kept,
        )

    async def renew(self, session: PlatformSession) -> PlatformSession:
        if session.secrets.get("refresh_token"):
            # A refresh token may be spent while the access token still lives.
            with suppress(SessionEnded, PermissionRefused, RequestRefused):
                # Asked again where no reply came: had the token been spent, all would be lost anyway.
                return await self._retry(lambda: self._refresh(session))
        await self._retry(partial(self._call, "GET", "/user/profile", session))
        return session

    async def _refresh(self, session: PlatformSession) -> PlatformSession:
        """Only apps that Zerodha approved for it hold a refresh token."""
        keys = session.secrets
        api_key, api_secret, token = keys["api_key"], keys["api_secret"], keys["refresh_token"]
        form = _form("refresh_token", token, api_key, api_secret)
        data = await self._call("POST", "/session/refresh_token", form=form)
        return PlatformSession(
            platform_user_id=session.platform_user_id,
            account_type=session.account_type,
            expires_at=next_session_end(self._clock()),
            # A reply without a new refresh token leaves the old one in force.
            secrets={"refresh_token": token, **_secrets(api_key, api_secret, data)},
            renewable=True,
        )

    async def disconnect(self, session: PlatformSession) -> None:
        for token in ("refresh_token", "access_token"):
            if not session.secrets.get(token):
                continue
            keys = {name: session.secrets[name] for name in ("api_key", token)}
            with suppress(SessionEnded):  # over already, which is what was wanted
                await self._call("DELETE", "/session/token", session, params=keys)

    async def abandon(self, login: LoginRequired) -> None:
        """Nothing to forget: Kite knows of a login only once it is done."""

    async def aclose(self) -> None:
        await self._wire.aclose()

    @asynccontextmanager
    async def reading(self, session: PlatformSession) -> AsyncIterator[KiteReading]:
        yield KiteReading(partial(self._get, session), partial(self._reserve, session), self._retry)

    async def _get(self, session: PlatformSession, path: str, slot: Slot | None) -> Reply:
        """The reply to a read, not looked into where it looks like data."""
        reply = await self._send("GET", path, session, slot=slot)
        if not looks_like_data(reply):
            read_reply(reply, f"GET {path}")
        return reply

    async def _reserve(
        self, session: PlatformSession, longest_wait: timedelta, calls: int
    ) -> Sequence[Slot | None]:
        if self._rate_limit is None:
            return [None] * calls
        return await self._rate_limit(session.secrets["api_key"], longest_wait, calls)

    async def _call(
        self, method: str, path: str, session: PlatformSession | None = None, **content: Any
    ) -> Node:
        reply = await self._send(method, path, session, **content)
        return read_reply(reply, f"{method} {path}")

    async def _send(
        self,
        method: str,
        path: str,
        session: PlatformSession | None,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        slot: Slot | None = None,
    ) -> Reply:
        headers = {"X-Kite-Version": "3"}
        keys = session.secrets if session is not None else form or {}
        if session is not None:
            headers["Authorization"] = f"token {keys['api_key']}:{keys['access_token']}"
        if slot is None and self._rate_limit is not None:
            (slot,) = await self._rate_limit(keys["api_key"], BEGUN, 1)
        if slot is not None:
            await slot()
        return await self._wire.send(
            method,
            self._base_url + path,
            call=f"{method} {path}",
            headers=headers,
            params=params,
            form=form,
        )


build = Zerodha


def _form(kind: str, token: str, api_key: str, api_secret: str) -> dict[str, str]:
    proof = checksum(api_key, token, api_secret)
    return {"api_key": api_key, kind: token, "checksum": proof}


def checksum(api_key: str, token: str, api_secret: str) -> str:
    """Hex SHA-256 of the three joined, which proves the secret without sending it."""
    return hashlib.sha256(f"{api_key}{token}{api_secret}".encode()).hexdigest()


def next_session_end(login: datetime) -> datetime:
    """The first 06:00 in India strictly after a login, in UTC.

    An estimate: users report real ends from 05:00 to 07:30, so the refusal of a call is the truth.
    """
    local = login.astimezone(IST)
    end = datetime.combine(local.date(), _SESSIONS_END_AT, IST)
    return (end if end > local else end + timedelta(days=1)).astimezone(UTC)


def _first(field: str, *candidates: str | None) -> str:
    for candidate in candidates:
        if candidate:
            return _check(field, candidate)
    raise CredentialsRefused(f"Zerodha needs {field}", field)


def _check(field: str, value: str) -> str:
    if not _CREDENTIAL.fullmatch(value):
        raise CredentialsRefused(f"{field} has characters that Zerodha never uses", field)
    return value


def _secrets(api_key: str, api_secret: str, data: Node) -> dict[str, str]:
    access_token, refresh_token = data.get("access_token"), data.find("refresh_token")
    if not _CREDENTIAL.fullmatch(access_token.text()):
        raise access_token.bad("a token")
    kept = {"api_key": api_key, "api_secret": api_secret, "access_token": access_token.text()}
    if refresh_token is not None and refresh_token.text():
        kept["refresh_token"] = refresh_token.text()
    return kept
