"""Logging in and out at platforms: what a connector needs of its platform but its data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import TypeVar

import structlog

from server.core.clock import utc_now
from server.core.errors import FieldError
from server.core.idempotency import KeyedReply
from server.domains.connectors import metrics
from server.domains.connectors.audit_events import about
from server.domains.connectors.connections.refusals import RefusedLogins
from server.domains.connectors.connections.sessions import SessionVault, new_sync_id
from server.domains.connectors.connections.store import ConnectorStore
from server.domains.connectors.errors import (
    InvalidCredentials,
    NotConnected,
    PlatformNotAvailable,
    ReauthRequired,
)
from server.domains.connectors.model import REFRESH_REUSE, Connector, ErrorEntry
from server.platforms.base import (
    CredentialsRefused,
    LoginRequired,
    Platform,
    PlatformError,
    PlatformUnavailable,
    Session,
    SessionEnded,
)
from server.security.data_key import DataKey
from server.security.encryption import Undecipherable
from server.security.ring import MissingKey
from server.storage.changes import RecordedChanges
from server.storage.driver import Session as Transaction
from server.storage.leases import LeaseBusy, Leases

_log = structlog.stdlib.get_logger("finlink.connectors")
T = TypeVar("T")

# A refresh may wait for another one, renew the session, and begin a login where that fails: all
# three must fit into the 30 seconds that Envoy gives a change. The wait is twice a lease's life, so that
# who waits for a refresh whose process died does better than give up.
REFRESH_TIMEOUT = timedelta(seconds=12)  # for another refresh of the same connector to end
RENEW_SECONDS = 8.0  # more than one call may take
LOGIN_SECONDS = 9.0  # for all a platform does to let somebody in
LOGOUT_SECONDS = 3.0


class Logins:
    """Opens, renews and ends the platform sessions of connectors."""

    def __init__(
        self,
        changes: RecordedChanges,
        store: ConnectorStore,
        leases: Leases,
        sessions: SessionVault,
        refused: RefusedLogins,
        platforms: Mapping[str, Platform],
    ) -> None:
        self._changes = changes
        self._store = store
        self._leases = leases
        self._sessions = sessions
        self._refused = refused
        self._platforms = platforms
        self._refreshes: dict[str, asyncio.Task[Connector]] = {}  # under way, by connector

    def platform(self, connector: Connector) -> Platform:
        return self._platforms[connector.platform]

    async def session(self, connector: Connector) -> Session:
        """The platform session of a connector. Raises SessionEnded where it cannot be read.

        A key that is missing from the ring is no end of a session: MissingKey passes through.
        """
        try:
            return await self._sessions.open(connector)
        except Undecipherable as error:
            _log.error("session does not open", connector_id=connector.id, cause=str(error))
            raise SessionEnded("The stored session cannot be read; log in again") from None

    async def refresh(
        self,
        connector: Connector,
        credentials: Mapping[str, str],
        reply: KeyedReply | None = None,
    ) -> Connector:
        """Extend the session, or complete a login that is pending; one at a time a connector.

        One asked for within REFRESH_REUSE of another gets what that one brought. Raises NotConnected,
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
            async with self._leases.acquire(_refresh_lease(connector_id), REFRESH_TIMEOUT):
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
                ended = await self._expire(connector, str(error))
            if ended is None:
                return await self._overtaken(connector)
            connector = ended
        elif connector.status != "expired" and not connector.login_pending:
            raise NotConnected
        return await self._complete(connector, credentials, reply)

    async def revive(self, connector: Connector) -> Session:
        """The session that goes on after `connector`'s ended, where the platform can renew it.

        Raises SessionEnded where only a new login helps, PlatformUnavailable where that cannot be told.
        """
        try:
            async with self._leases.acquire(_refresh_lease(connector.id), REFRESH_TIMEOUT):
                current = await self._store.get(connector.id)
                if current is None or not current.live:
                    raise SessionEnded("The session was ended meanwhile")
                if current.generation != connector.generation:
                    return await self.session(current)  # somebody else has renewed it
                return await self.session(await self._renew(current))
        except (LeaseBusy, PlatformNotAvailable) as error:
            raise PlatformUnavailable("The session could not be renewed just now") from error
        except (NotConnected, ReauthRequired, InvalidCredentials) as error:
            raise SessionEnded("The session ended and could not be renewed") from error

    async def check(self, connector: Connector) -> None:
        """Renew a session before it ends, or find out whether it goes on past its expected end.

        Where the platform cannot be asked just now, nothing changes.
        """
        log = _log.bind(connector_id=connector.id, platform=connector.platform)
        try:
            async with self._leases.acquire(_refresh_lease(connector.id)):
                current = await self._store.get(connector.id)
                if current is None or current.generation != connector.generation:
                    return
                try:
                    await self._renew(current)
                except SessionEnded as error:
                    ended = await self._expire(current, str(error))
                    if ended is not None:
                        await self._prepare(ended)
        except LeaseBusy:
            return  # somebody refreshes it just now
        except (NotConnected, ReauthRequired):
            return  # somebody has changed it meanwhile
        except (PlatformNotAvailable, InvalidCredentials) as error:
            log.warning("session not checked", cause=str(error))

    async def _renew(self, connector: Connector, reply: KeyedReply | None = None) -> Connector:
        """Raises SessionEnded where only a new login helps.

        Once begun it is brought to its end, also where whoever wants it stops: what the platform
        gives for a token that works once must be stored.
        """
        return await _to_its_end(self._renew_now(connector, reply))

    async def _renew_now(self, connector: Connector, reply: KeyedReply | None) -> Connector:
        platform = self.platform(connector)
        before = await self.session(connector)
        key = await self._sessions.key_of(connector)
        after = await answer(platform.renew(before), RENEW_SECONDS)
        connected = self._sessions.seal_again(key, connector, after)
        stored = await self._change(
            partial(self._store.renew_session, connector.id, connector.generation, connected),
            key,
            "session.refreshed",
            reply,
        )
        if stored is None:
            if after.secrets != before.secrets:
                await self.log_out(platform, after)
            return await self._overtaken(connector)
        _log.info("session refreshed", connector_id=connector.id, platform=connector.platform)
        return stored

    async def _overtaken(self, connector: Connector) -> Connector:
        """What holds where somebody else has changed the session first: a refresh of another process
        that took this one's for dead, a new login, a disconnect. That stands, and is the answer.

        Raises NotConnected or ReauthRequired.
        """
        current = await self._store.get(connector.id)
        if current is not None and current.live:
            return current
        if current is not None and current.status == "expired":
            raise ReauthRequired(await self._sessions.login_url(current))
        raise NotConnected

    async def _complete(
        self, connector: Connector, credentials: Mapping[str, str], reply: KeyedReply | None
    ) -> Connector:
        """Finish a login that is pending, or begin one that the user must finish."""
        platform = self.platform(connector)
        secrets = await self._secrets(connector)
        key = await self._sessions.key_of(connector)
        async with self.watched(connector.user_id, platform.name, credentials):
            outcome = await answer(platform.complete(secrets, credentials))
        if isinstance(outcome, LoginRequired):
            if not await self._keep_login(connector, outcome, key):
                return await self._overtaken(connector)
            raise ReauthRequired(outcome.login_url)
        known = connector.platform_user_id
        if known is not None and outcome.platform_user_id != known:
            await self.log_out(platform, outcome)
            message = "belong to another account of the platform than this connector"
            raise InvalidCredentials(fields=[FieldError("credentials", message)])
        connected = self._sessions.seal(key, outcome)
        generation, sync_id = connector.generation, new_sync_id()
        stored = await self._change(
            partial(self._store.begin_session, connector.id, generation, connected, sync_id),
            key,
            "connector.connected",
            reply,
        )
        if stored is None:
            await self.log_out(platform, outcome)
            return await self._overtaken(connector)
        metrics.CONNECTS.labels(connector.platform, "connected").inc()
        _log.info(
            "login completed",
            connector_id=connector.id,
            platform=connector.platform,
            sync_id=sync_id,
        )
        return stored

    @asynccontextmanager
    async def watched(
        self, user_id: str, platform: str, credentials: Mapping[str, str]
    ) -> AsyncIterator[None]:
        """Inside, a login with a caller's credentials is tried. Raises TooManyRefusals."""
        if not credentials:
            yield
            return
        await self._refused.check(user_id, platform)
        try:
            yield
        except InvalidCredentials:
            await self._refused.count(user_id, platform)
            raise
        await self._refused.forget(user_id, platform)

    async def prepare(self, ended: Connector) -> None:
        """Have a login ready for a connector whose session ended, as far as the platform answers."""
        # Who refreshes it meanwhile must not find the session changed underneath, and does the same.
        with suppress(LeaseBusy):
            async with self._leases.acquire(_refresh_lease(ended.id)):
                await self._prepare(ended)

    async def _prepare(self, ended: Connector) -> None:
        try:
            secrets = await self._secrets(ended)
            login = await answer(self.platform(ended).complete(secrets, {}))
        except (InvalidCredentials, PlatformNotAvailable, SessionEnded):
            return  # RefreshSession will try again
        if isinstance(login, LoginRequired):
            await self._keep_login(ended, login, await self._sessions.key_of(ended))

    async def _keep_login(self, connector: Connector, login: LoginRequired, key: DataKey) -> bool:
        """False where somebody else has changed the session first."""
        sealed = self._sessions.seal_login(key, login)
        kept = await self._change(
            partial(self._store.set_login, connector.id, connector.generation, sealed),
            key,
            "connector.login_started",
            None,
        )
        return kept is not None

    async def _expire(self, connector: Connector, cause: str) -> Connector | None:
        """None where somebody else has changed the session first."""
        error = ErrorEntry(SessionEnded.code, cause, utc_now())
        ended = await self._changes.make(
            partial(self._store.end_session, connector, "expired", error=error),
            partial(about, "session.expired", code=SessionEnded.code),
            None,
        )
        if ended is not None:
            _log.warning("session expired", connector_id=connector.id, platform=connector.platform)
        return ended

    async def _change(
        self,
        write: Callable[[Transaction], Awaitable[Connector | None]],
        key: DataKey,
        action: str,
        reply: KeyedReply | None,
    ) -> Connector | None:
        """Write what `key` sealed, and with it the key where that is new."""

        async def work(transaction: Transaction) -> Connector | None:
            changed = await write(transaction)
            if changed is not None:
                await self._sessions.store_key(key, transaction)
            return changed

        return await self._changes.make(work, partial(about, action), reply)

    async def _secrets(self, connector: Connector) -> Mapping[str, str]:
        """What a login of this connector goes on from: one that is pending, or the session before."""
        pending = await self._sessions.open_login(connector)
        if pending is not None:
            return pending.secrets
        try:
            return (await self._sessions.open(connector)).secrets
        except Undecipherable:
            return {}

    async def log_out(self, platform: Platform, session: Session) -> None:
        """End a session at the platform, as far as it answers."""
        try:
            async with asyncio.timeout(LOGOUT_SECONDS):
                await platform.disconnect(session)
        except Exception as error:  # noqa: BLE001 - best effort, whatever it is
            _log.warning(
                "platform logout failed", platform=platform.name, cause=type(error).__name__
            )

    async def held(self, connector: Connector) -> Session | LoginRequired | None:
        """What a connector holds at its platform, as far as it opens: a session, or a login pending."""
        try:
            if connector.live:
                return await self._sessions.open(connector)
            return await self._sessions.open_login(connector)
        except (Undecipherable, MissingKey):
            return None

    async def log_out_of(self, connector: Connector) -> None:
        """End what a connector holds at its platform."""
        await self.let_go(connector, await self.held(connector))

    async def let_go(self, connector: Connector, held: Session | LoginRequired | None) -> None:
        """End what a connector held at its platform, as far as that answers."""
        platform = self.platform(connector)
        if isinstance(held, Session):
            await self.log_out(platform, held)
        elif held is not None:
            try:
                async with asyncio.timeout(LOGOUT_SECONDS):
                    await platform.abandon(held)
            except Exception as error:  # noqa: BLE001 - best effort, whatever it is
                _log.warning(
                    "login not abandoned", platform=platform.name, cause=type(error).__name__
                )


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
        task.exception()  # told to nobody
        raise asyncio.CancelledError
    return task.result()


async def answer(call: Awaitable[T], seconds: float = LOGIN_SECONDS) -> T:
    """What a platform answers to a login within `seconds`, its refusals as the caller's errors.

    Raises InvalidCredentials or PlatformNotAvailable; SessionEnded passes through.
    """
    try:
        async with asyncio.timeout(seconds):
            return await call
    except CredentialsRefused as error:
        fields = [FieldError(f"credentials.{error.field}", str(error))] if error.field else []
        raise InvalidCredentials(fields=fields) from None
    except SessionEnded:
        raise
    except PlatformUnavailable as error:
        raise PlatformNotAvailable(str(error), retry_after=error.retry_after) from None
    except PlatformError as error:
        raise PlatformNotAvailable(str(error)) from None
    except TimeoutError:
        raise PlatformNotAvailable("The platform did not answer in time") from None


def _refresh_lease(connector_id: str) -> str:
    return f"refresh/{connector_id}"
