"""Fi Money through its MCP server.

Sources: Fi's published documentation and samples, and behaviour observed on the Fi MCP dev server.
A login belongs to an MCP session: the user logs in on Fi's page, nothing comes back, and the same
session starts to reply with data. A tool's text says whether it did, not by a status.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from weakref import WeakValueDictionary

from yarl import URL

from server.platforms.base import (
    CredentialsRefused,
    LoginRequired,
    PermissionRefused,
    PlatformDataError,
    PlatformSession,
    SessionEnded,
)
from server.platforms.document import Node, parse
from server.platforms.fi_money.platform import FI_MONEY, FiMoneySettings
from server.platforms.fi_money.reading import LABEL, FiReading, wants_login
from server.platforms.http import Retry, Wire
from server.platforms.manifest import Resources
from server.platforms.mcp import McpClient
from server.platforms.session_lock import SessionLock
from server.security.outgoing import is_loopback

ACCOUNT_TYPE = "mcp"
# Small for every user, and asked for whatever data the user granted.
_CHEAP_TOOL = "fetch_epf_details"
_POLLS = 5
# Browsers drop or replace other characters of an address, each in its own way.
_VISIBLE = re.compile(r"[\x21-\x7e]+")


class FiMoney:
    name = FI_MONEY.name
    data_types = FI_MONEY.data_types

    def __init__(
        self,
        resources: Resources[FiMoneySettings],
        retry: Retry | None = None,
        login_hosts: Collection[str] = ("fi.money",),
    ) -> None:
        """`login_hosts`: where a user may be sent to log in.

        Without session locks the calls of a session follow each other within this process only.
        """
        base_url = resources.urls["base_url"]
        self._clock = resources.clock
        self._hash_key = resources.hash_key
        self._ttl = timedelta(seconds=resources.settings.session_ttl)
        self._login_hosts = frozenset(host.lower() for host in login_hosts)
        self._sandbox = is_loopback(base_url)
        self._driver = resources.login_driver
        self._retry = retry or Retry()
        self._wire = Wire(self.name, LABEL, base_url, resources.clock)
        self._mcp = McpClient(LABEL, base_url, self._wire, self._retry)
        self._session_locks = resources.session_locks
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def connect(self, credentials: Mapping[str, str]) -> PlatformSession | LoginRequired:
        return await self.complete({}, credentials)

    async def complete(
        self, secrets: Mapping[str, str], credentials: Mapping[str, str]
    ) -> PlatformSession | LoginRequired:
        known_as = secrets.get("platform_user_id")
        if session_id := secrets.get("session_id"):
            with suppress(SessionEnded):  # too late for this one: begin again
                return await self._log_in(session_id, credentials, known_as)
        session_id = await self._mcp.open_session()
        try:
            return await self._log_in(session_id, credentials, known_as)
        except SessionEnded:
            raise PlatformDataError(
                f"{LABEL} does not keep the session it has just begun"
            ) from None

    async def _log_in(
        self, session_id: str, credentials: Mapping[str, str], known_as: str | None
    ) -> PlatformSession | LoginRequired:
        """`known_as`: the user id of an earlier login, kept where no user name is given."""
        username = credentials.get("username")
        user_id = self._user_id(username) if username else known_as
        login_url = await self._login_url(session_id)
        if login_url and self._driver is not None and username:
            await self._driver.log_in(login_url, username, credentials.get("password", ""))
            # Fi does not say when a login has gone through.
            login_url = await self._retry.poll(
                lambda: self._login_url(session_id), lambda wanted: wanted is None, _POLLS
            )
        if login_url:
            pending = {"session_id": session_id}
            if user_id:
                pending["platform_user_id"] = user_id
            return LoginRequired(login_url, pending)
        user_id = user_id or self._user_id(session_id)
        return PlatformSession(
            platform_user_id=user_id,
            account_type=ACCOUNT_TYPE,
            expires_at=self._clock() + self._ttl,
            secrets={"session_id": session_id, "platform_user_id": user_id},
        )

    async def _login_url(self, session_id: str) -> str | None:
        """Where to log in, or None for a session that is logged in."""
        try:
            text = await self._call(session_id, _CHEAP_TOOL)
        except PermissionRefused:
            # Fi takes any number at its login page and says afterwards whom it does not serve.
            raise CredentialsRefused(f"{LABEL} does not serve this user", "username") from None
        document = _understood(text)
        return self._checked(document.get("login_url")) if wants_login(document) else None

    def _checked(self, node: Node) -> str:
        """A user is sent to pages of Fi only, whatever a reply says."""
        try:
            text = node.text()
            url = URL(text)
            host = (url.host or "").lower()
        except ValueError:
            raise node.bad("an address") from None
        on_fi = url.scheme == "https" and host in self._login_hosts
        on_sandbox = self._sandbox and url.scheme in {"http", "https"} and is_loopback(text)
        names_somebody = url.user is not None or url.password is not None
        if not (on_fi or on_sandbox) or names_somebody or not _VISIBLE.fullmatch(text):
            raise node.bad(f"an address at {LABEL}")
        return text

    def _user_id(self, login: str) -> str:
        """An opaque name for a login, the same each time; the login is a phone number."""
        digest = hmac.new(self._hash_key, login.strip().casefold().encode(), hashlib.sha256)
        return f"fi_{digest.hexdigest()[:32]}"

    async def renew(self, session: PlatformSession) -> PlatformSession:
        try:
            text = await self._call(session.secrets["session_id"], _CHEAP_TOOL)
        except PermissionRefused:
            raise SessionEnded(f"{LABEL} does not serve this user any more") from None
        if wants_login(_understood(text)):
            raise SessionEnded(f"{LABEL} wants a new login")
        return session

    async def disconnect(self, session: PlatformSession) -> None:
        session_id = session.secrets["session_id"]
        async with aclosing(self._session_lock(session_id)) as lock, lock.call():
            await self._mcp.close_session(session_id)

    async def abandon(self, login: LoginRequired) -> None:
        await self._mcp.close_session(login.secrets["session_id"])

    async def aclose(self) -> None:
        await self._wire.aclose()

    @asynccontextmanager
    async def reading(self, session: PlatformSession) -> AsyncIterator[FiReading]:
        async with aclosing(self._session_lock(session.secrets["session_id"])) as lock:
            yield FiReading(self._mcp, session, lock)

    async def _call(self, session_id: str, tool: str) -> str:
        async with aclosing(self._session_lock(session_id)) as lock, lock.call():
            return await self._mcp.call_tool(session_id, tool)

    def _session_lock(self, session_id: str) -> SessionLock:
        """Fi publishes no limits: the calls of one session go one after another."""
        lock = self._locks.get(session_id)
        if lock is None:
            lock = self._locks[session_id] = asyncio.Lock()
        name = hashlib.sha256(session_id.encode()).hexdigest()
        return SessionLock(
            lock, None if self._session_locks is None else partial(self._session_locks, name)
        )


build = FiMoney


def _understood(text: str) -> Node:
    """A tool's text where only the login matters: prose, too, comes to those logged in only."""
    try:
        return parse(text, _CHEAP_TOOL)
    except PlatformDataError:
        return Node(text, _CHEAP_TOOL)
