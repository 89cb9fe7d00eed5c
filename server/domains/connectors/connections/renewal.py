"""Sessions that go on: refreshed for callers and runs, and renewed before their end."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import TypeVar

import structlog

from server.core.idempotency import KeyedReply
from server.domains.connectors.connections.logins import LoginFlow, platform_reply
from server.domains.connectors.connections.logout import Logout
from server.domains.connectors.connections.session_changes import SessionChanges
from server.domains.connectors.connections.sessions import SessionVault
from server.domains.connectors.connections.store import ConnectorStore
from server.domains.connectors.errors import (
    InvalidCredentials,
    NotConnected,
    PlatformNotAvailable,
    ReauthRequired,
)
from server.domains.connectors.model import REFRESH_REUSE, Connector
from server.platforms.base import Platform, PlatformSession, PlatformUnavailable, SessionEnded
from server.security.encryption import Undecipherable
from server.storage.leases import LeaseBusy, Leases

_log = structlog.stdlib.get_logger("finlink.connectors")
T = TypeVar("T")

# A refresh may wait for another one, renew the session, and begin a login if that fails: all three must fit
# into the 30 seconds that Envoy gives a change. The wait is twice a lease's life, so that it outlasts a
# refresh whose process died.
REFRESH_WAIT = timedelta(seconds=12)  # for another refresh of the same connector to end
RENEW_SECONDS = 8.0  # more than one call may take


class SessionRenewal:
    def __init__(
        self,
        changes: SessionChanges,
        store: ConnectorStore,
        leases: Leases,
        sessions: SessionVault,
        logins: LoginFlow,
        logout: Logout,
        platforms: Mapping[str, Platform],
    ) -> None:
        self._changes = changes
        self._store = store
        self._leases = leases
        self._sessions = sessions
        self._logins = logins
        self._logout = logout
        self._platforms = platforms
        self._refreshes: dict[str, asyncio.Task[Connector]] = {}  # under way, by connector

    async def session(self, connector: Connector) -> PlatformSession:
        """The platform session of a connector. Raises SessionEnded if it cannot be read.

        A key that is missing from the ring is no end of a session: MissingKey passes through.
        """
        try:
            return await self._sessions.open(connector)
        except Undecipherable as error:
            _log.error("session does not open", connector_id=connector.id, cause=str(error))
            raise SessionEnded("The stored session cannot be read; log in again") from None

    def platform(self, connector: Connector) -> Platform:
        return self._platforms[connector.platform]

    # For callers

    async def refresh(
        self, connector: Connector, credentials: Mapping[str, str], reply: KeyedReply | None = None
    ) -> Connector:
        """Extend the session, or complete a login that is pending.

        One that follows another within REFRESH_REUSE gets what that one brought. Raises NotConnected,
        ReauthRequired, InvalidCredentials or PlatformNotAvailable.
        """
        if credentials or reply is not None:
            return await self._refresh_alone(connector.id, credentials, reply)
        # Callers of one process share one refresh, so that one of them waits for other processes.
        shared = self._refreshes.get(connector.id)
        if shared is None:
            shared = asyncio.create_task(self._refresh_alone(connector.id, {}, None))
            self._refreshes[connector.id] = shared
            shared.add_done_callback(lambda _: self._refreshes.pop(connector.id))
        return await asyncio.shield(shared)

    async def _refresh_alone(
        self, connector_id: str, credentials: Mapping[str, str], reply: KeyedReply | None
    ) -> Connector:
        try:
            async with self._alone(connector_id, REFRESH_WAIT):
                refreshed = await self._store.refreshed_within(connector_id, REFRESH_REUSE)
                if refreshed is not None:
                    return refreshed
                current = await self._store.get(connector_id)
                if current is None:
                    raise NotConnected
                return await self._refresh(current, credentials, reply)
        except LeaseBusy:
            raise PlatformNotAvailable("Another refresh of this connector takes too long") from None

    async def _refresh(
        self, connector: Connector, credentials: Mapping[str, str], reply: KeyedReply | None
    ) -> Connector:
        if connector.live:
            try:
                return await self._renew(connector, reply)
            except SessionEnded as error:
                ended = await self._changes.expire(connector, str(error))
            if ended is None:
                return await self._changes.conflict(connector)
            connector = ended
        elif connector.status != "expired" and not connector.login_pending:
            raise NotConnected
        return await self._logins.complete(connector, credentials, reply)

    # For runs and checks

    async def renew(self, connector: Connector) -> PlatformSession:
        """The session that goes on after `connector`'s ended, if the platform can renew it.

        Raises SessionEnded if only a new login helps, PlatformUnavailable if that cannot be found out.
        """
        try:
            async with self._alone(connector.id, REFRESH_WAIT):
                current = await self._store.get(connector.id)
                if current is None or not current.live:
                    raise SessionEnded("The session was ended meanwhile")
                if current.session.generation != connector.session.generation:
                    return await self.session(current)  # another process has renewed it
                return await self.session(await self._renew(current))
        except (LeaseBusy, PlatformNotAvailable) as error:
            raise PlatformUnavailable("The session could not be renewed just now") from error
        except (NotConnected, ReauthRequired, InvalidCredentials) as error:
            raise SessionEnded("The session ended and could not be renewed") from error

    async def check(self, connector: Connector) -> None:
        """Renew a session before it ends, or find out whether it goes on past its expected end.

        If the platform cannot be asked just now, nothing changes.
        """
        try:
            async with self._alone(connector.id):
                current = await self._store.get(connector.id)
                if current is None or current.session.generation != connector.session.generation:
                    return
                try:
                    await self._renew(current)
                except SessionEnded as error:
                    ended = await self._changes.expire(current, str(error))
                    if ended is not None:
                        await self._logins.prepare(ended)
        except (LeaseBusy, NotConnected, ReauthRequired):
            return  # it is refreshed just now, or was changed meanwhile
        except (PlatformNotAvailable, InvalidCredentials) as error:
            log = _log.bind(connector_id=connector.id, platform=connector.platform)
            log.warning("session not checked", cause=str(error))

    async def prepare_login(self, ended: Connector) -> None:
        """Have a login pending for a connector whose session ended, if the platform replies."""
        # A refresh under way must not find the session changed underneath, and does the same.
        with suppress(LeaseBusy):
            async with self._alone(ended.id):
                await self._logins.prepare(ended)

    # All of them

    @asynccontextmanager
    async def _alone(
        self, connector_id: str, wait: timedelta = timedelta(0)
    ) -> AsyncIterator[None]:
        async with self._leases.acquire(f"refresh/{connector_id}", wait):
            yield

    async def _renew(self, connector: Connector, reply: KeyedReply | None = None) -> Connector:
        """Raises SessionEnded if only a new login helps.

        Once begun it is brought to its end, even if its caller is cancelled: what the platform gives
        for a token that works once must be stored.
        """
        return await _to_its_end(self._renew_now(connector, reply))

    async def _renew_now(self, connector: Connector, reply: KeyedReply | None) -> Connector:
        before = await self.session(connector)
        key = await self._sessions.key_of(connector)
        after = await platform_reply(self.platform(connector).renew(before), RENEW_SECONDS)
        connected = self._sessions.seal_again(key, connector, after)
        write = partial(self._store.renew_session, connector, connected)
        stored = await self._changes.make(write, key, "session.refreshed", reply)
        if stored is None:
            if after.secrets != before.secrets:
                await self._logout.release(connector.platform, after)
            return await self._changes.conflict(connector)
        _log.info("session refreshed", connector_id=connector.id, platform=connector.platform)
        return stored


async def _to_its_end(work: Coroutine[None, None, T]) -> T:
    """Await `work`; a cancellation counts once it has ended."""
    task = asyncio.create_task(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        task.exception()  # reported to nobody
        raise asyncio.CancelledError
    return task.result()
