"""Changes of a connector's session, each with the data key it was sealed with, and conflicts between them."""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from server.core.clock import utc_now
from server.core.idempotency import KeyedReply
from server.domains.connectors.connections.audit_events import about
from server.domains.connectors.connections.sessions import SessionVault
from server.domains.connectors.connections.store import ConnectorStore
from server.domains.connectors.errors import NotConnected, ReauthRequired
from server.domains.connectors.model import Connector, ErrorEntry
from server.platforms.base import LoginRequired, SessionEnded
from server.security.data_key import DataKey
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.connectors")


class SessionChanges:
    """Each change returns None if another process has changed the session first."""

    def __init__(
        self, changes: RecordedChanges, store: ConnectorStore, sessions: SessionVault
    ) -> None:
        self._changes = changes
        self._store = store
        self._sessions = sessions

    async def make(
        self,
        write: Callable[[ClientSession], Awaitable[Connector | None]],
        key: DataKey,
        action: str,
        reply: KeyedReply | None,
    ) -> Connector | None:
        """Write what `key` sealed, and with it the key if that is new."""

        async def work(transaction: ClientSession) -> Connector | None:
            changed = await write(transaction)
            if changed is not None:
                await self._sessions.store_key(key, transaction)
            return changed

        return await self._changes.make(work, partial(about, action), reply)

    async def set_login(
        self, connector: Connector, login: LoginRequired, key: DataKey
    ) -> Connector | None:
        """Keep a login that is pending."""
        sealed = self._sessions.seal_login(key, login)
        write = partial(self._store.set_login, connector, sealed)
        return await self.make(write, key, "connector.login_started", None)

    async def expire(self, connector: Connector, cause: str) -> Connector | None:
        error = ErrorEntry(error_code=SessionEnded.code, error_message=cause, occurred_at=utc_now())
        ended = await self._changes.make(
            partial(self._store.end_session, connector, "expired", error=error),
            partial(about, "session.expired", code=SessionEnded.code),
            None,
        )
        if ended is not None:
            _log.warning("session expired", connector_id=connector.id, platform=connector.platform)
        return ended

    async def conflict(self, connector: Connector) -> Connector:
        """The session as another process has changed it first: that one stands.

        It was a refresh that took this one for dead, a new login, or a disconnect. Raises NotConnected
        or ReauthRequired.
        """
        current = await self._store.get(connector.id)
        if current is not None and current.live:
            return current
        if current is not None and current.status == "expired":
            raise ReauthRequired(await self._sessions.login_url(current))
        raise NotConnected
