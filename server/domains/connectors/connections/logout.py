"""Logging out at platforms, as far as they reply: what a connector has there ends with its session here."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import TypeAlias

import structlog

from server.domains.connectors.connections.sessions import SessionVault
from server.domains.connectors.model import Connector
from server.platforms.base import LoginRequired, Platform, PlatformSession
from server.security.encryption import Undecipherable
from server.security.ring import MissingKey

_log = structlog.stdlib.get_logger("finlink.connectors")

LOGOUT_SECONDS = 3.0

# A connector's state at its platform: a session, a login that is pending, or nothing that can be opened.
Opened: TypeAlias = PlatformSession | LoginRequired | None


class Logout:
    def __init__(self, sessions: SessionVault, platforms: Mapping[str, Platform]) -> None:
        self._sessions = sessions
        self._platforms = platforms

    async def opened(self, connector: Connector) -> Opened:
        """The connector's sessions at its platform, as far as they can be opened; its key may be destroyed
        afterwards."""
        try:
            if connector.live:
                return await self._sessions.open(connector)
            return await self._sessions.open_login(connector)
        except (Undecipherable, MissingKey):
            return None

    async def release(self, platform: str, opened: Opened) -> None:
        """End it at the platform."""
        if isinstance(opened, PlatformSession):
            call = self._platforms[platform].disconnect(opened)
            await _try(call, "platform logout failed", platform)
        elif opened is not None:
            call = self._platforms[platform].abandon(opened)
            await _try(call, "login not abandoned", platform)

    async def release_of(self, connector: Connector) -> None:
        """End what a connector has at its platform."""
        await self.release(connector.platform, await self.opened(connector))


async def _try(call: Awaitable[None], failed: str, platform: str) -> None:
    try:
        async with asyncio.timeout(LOGOUT_SECONDS):
            await call
    except Exception as error:  # noqa: BLE001 - best effort, whatever it is
        _log.warning(failed, platform=platform, cause=type(error).__name__)
