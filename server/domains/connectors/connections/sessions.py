"""Platform sessions as connectors have them: sealed before they are stored, opened for a call."""

import random
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from server.core.clock import utc_now
from server.domains.connectors.connections.session_fields import SealedSession
from server.domains.connectors.model import Connector
from server.platforms.base import LoginRequired, PlatformSession
from server.security.data_key import DataKey, Owner
from server.security.encryption import Undecipherable
from server.storage.data_keys import DataKeyStore, new_data_key
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.connectors")

_SESSION, _LOGIN = "session", "login"  # what of a connector is sealed
_LOGIN_URL = "login_url"
_NEVER = datetime.max.replace(tzinfo=UTC)

RENEW_BEFORE = timedelta(minutes=20)  # half of it at least; before callers see `expiresSoon`
ASK_AFTER = timedelta(seconds=10)  # at most, past the expected end
# The assumed rest of a session that its platform accepts past its expected end. It never grows
# longer than callers see `expiresSoon`.
STILL_ACCEPTED = timedelta(minutes=10)


def new_session_id() -> str:
    """A name for a session that callers see; it opens nothing."""
    return f"sess_{secrets.token_urlsafe(16)}"


def new_sync_id() -> str:
    return f"sync_{secrets.token_hex(12)}"


class SessionVault:
    """Seals and opens the sessions of connectors, each under its connector's own data key.

    Whatever reads a data key raises MissingKey where the key ring lacks the key that wrapped it.
    """

    def __init__(self, keys: DataKeyStore) -> None:
        self._keys = keys

    def new_key(self, user_id: str, platform: str) -> DataKey:
        """The key of a connector that begins again, to be stored with what it seals."""
        return new_data_key(_owner(user_id, platform))

    async def key_of(self, connector: Connector) -> DataKey:
        """The key of a connector that goes on; a new one where that is gone, or does not open."""
        owner = _owner(connector.user_id, connector.platform)
        try:
            found = await self._keys.of(owner)
        except Undecipherable as error:  # nothing opens with it, so nothing is lost
            _log.error("data key does not open", connector_id=connector.id, cause=str(error))
            found = None
        return found or new_data_key(owner)

    async def store_key(self, key: DataKey, transaction: ClientSession) -> None:
        """Keep a key that is new; nothing that was sealed before for its connector opens any more."""
        if not key.stored:
            await self._keys.store(key, transaction)

    async def erase(self, connector: Connector, transaction: ClientSession) -> None:
        """Destroy a connector's key: no copy of its session or login opens any more."""
        await self._keys.destroy(_owner(connector.user_id, connector.platform), transaction)

    async def erase_of_user(self, user_id: str, transaction: ClientSession) -> None:
        await self._keys.destroy_of_user(user_id, transaction)

    def seal(self, key: DataKey, session: PlatformSession) -> SealedSession:
        """A session as it is stored, under a new session id."""
        return SealedSession(
            session_id=new_session_id(),
            sealed_session=key.seal(session.secrets, field=_SESSION),
            expires_at=session.expires_at,
            platform_user_id=session.platform_user_id,
            account_type=session.account_type,
            check_at=_check_at(session),
        )

    def seal_again(
        self, key: DataKey, connector: Connector, session: PlatformSession
    ) -> SealedSession:
        """The same for the session that `connector` goes on with, accepted by its platform just now."""
        now = utc_now()
        if (
            connector.session.expires_at is not None
            and session.expires_at <= connector.session.expires_at
        ):
            # Renewing brought no longer life, so before its end there is nothing to be had.
            session = replace(session, renewable=False)
        if session.expires_at <= now:
            session = replace(session, expires_at=now + STILL_ACCEPTED)
        return self.seal(key, session)

    async def open(self, connector: Connector) -> PlatformSession:
        """The platform session of a connector. Raises Undecipherable, also where there is none."""
        if connector.session.sealed is None:
            raise Undecipherable("no session is stored")
        return PlatformSession(
            platform_user_id=connector.session.platform_user_id or "",
            account_type=connector.session.account_type or "",
            expires_at=connector.session.expires_at or _NEVER,
            secrets=await self._open(connector, connector.session.sealed, _SESSION),
        )

    def seal_login(self, key: DataKey, login: LoginRequired) -> str:
        return key.seal({**login.secrets, _LOGIN_URL: login.login_url}, field=_LOGIN)

    async def open_login(self, connector: Connector) -> LoginRequired | None:
        """The login that is pending, if one is and it opens."""
        if connector.session.sealed_login is None:
            return None
        try:
            content = await self._open(connector, connector.session.sealed_login, _LOGIN)
        except Undecipherable:
            return None
        return LoginRequired(login_url=content.pop(_LOGIN_URL, ""), secrets=content)

    async def login_url(self, connector: Connector) -> str | None:
        """Where the user must log in, if that is known."""
        login = await self.open_login(connector)
        return login.login_url if login and login.login_url else None

    async def _open(self, connector: Connector, sealed: str, field: str) -> dict[str, str]:
        key = await self._keys.of(_owner(connector.user_id, connector.platform))
        if key is None:
            raise Undecipherable("its data key was destroyed")
        return key.open(sealed, field=field)


def _owner(user_id: str, platform: str) -> Owner:
    return Owner(user_id, f"connectors/{user_id}/{platform}")


def _check_at(session: PlatformSession) -> datetime:
    """When to check a session: ahead of its end if it can be renewed by then, else after.

    Spread, because the sessions of a platform may all end at the same time of day.
    """
    early = session.expires_at - RENEW_BEFORE * random.uniform(0.5, 1)  # noqa: S311
    if session.renewable and early > utc_now():
        return early
    return session.expires_at + ASK_AFTER * random.random()  # noqa: S311
