"""Builds the platforms from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from server.config import Settings
from server.core.clock import utc_now
from server.platforms.base import Platform
from server.platforms.fi_money.adapter import FiMoney
from server.platforms.http import is_loopback
from server.platforms.login_driver import LoginDriver
from server.platforms.turns import Turns
from server.platforms.zerodha.adapter import Budget, Zerodha


def build_platforms(
    settings: Settings, hash_key: bytes, kite_budget: Budget, fi_turns: Turns
) -> Mapping[str, Platform]:
    """Every platform by name. `hash_key` keeps platform logins from being guessed from their hashes.

    `kite_budget` is asked before each call to Zerodha, `fi_turns` held during each of a Fi session.

    The login driver, which fills in login pages by itself, is given to addresses on this machine
    only, and never in production.
    """

    def driver(*urls: str) -> LoginDriver | None:
        allowed = all(is_loopback(url) for url in urls) and not settings.production
        return LoginDriver(*urls) if allowed else None

    secret = settings.zerodha_api_secret
    platforms: list[Platform] = [
        FiMoney(
            clock=utc_now,
            hash_key=hash_key,
            base_url=settings.fi_mcp,
            session_ttl=timedelta(seconds=settings.fi_session_ttl),
            driver=driver(settings.fi_mcp),
            turns=fi_turns,
        ),
        Zerodha(
            clock=utc_now,
            base_url=settings.kite_api,
            login_url=settings.kite_login,
            api_key=settings.zerodha_api_key,
            api_secret=secret.get_secret_value() if secret else None,
            driver=driver(settings.kite_api, settings.kite_login),
            budget=kite_budget,
        ),
    ]
    return {platform.name: platform for platform in platforms}
