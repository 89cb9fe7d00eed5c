"""Adapters at an address, with what a test says of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from server.core.clock import utc_now
from server.platforms.fi_money.adapter import FiMoney
from server.platforms.fi_money.platform import FiMoneySettings
from server.platforms.http import Retry
from server.platforms.manifest import Resources
from server.platforms.zerodha.adapter import Zerodha
from server.platforms.zerodha.platform import ZerodhaSettings


def zerodha_at(
    base_url: str,
    login_url: str,
    *,
    api_key: str | None = None,
    api_secret: str | None = None,
    clock: Callable[[], datetime] = utc_now,
    retry: Retry | None = None,
    **resources: Any,
) -> Zerodha:
    settings = ZerodhaSettings(
        api_key=api_key, api_secret=SecretStr(api_secret) if api_secret else None
    )
    urls = {"base_url": base_url, "login_url": login_url}
    return Zerodha(Resources(settings, urls, clock, b"key", **resources), retry)


def fi_money_at(
    base_url: str,
    *,
    session_ttl: int = 1_800,
    hash_key: bytes = b"key",
    clock: Callable[[], datetime] = utc_now,
    retry: Retry | None = None,
    login_hosts: Collection[str] = ("fi.money",),
    **resources: Any,
) -> FiMoney:
    settings, urls = FiMoneySettings(session_ttl=session_ttl), {"base_url": base_url}
    return FiMoney(Resources(settings, urls, clock, hash_key, **resources), retry, login_hosts)
