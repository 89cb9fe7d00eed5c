"""What manifests say of platforms, and how their settings are read."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from server.config import ConfigError, Settings
from server.platforms.fi_money.platform import FI_MONEY
from server.platforms.registry import PLATFORMS
from server.platforms.zerodha.platform import ZERODHA
from server.settings import every, load

ROOT = Path(__file__).parents[2]


def settings(**given: object) -> Settings:
    return load(_env_file=None, **given)


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda each: each.name)
def test_settings_begin_with_the_platforms_name(platform: Any) -> None:
    assert platform.settings.model_config["env_prefix"] == f"{platform.name}_"
    names = {name for name, _ in every()}
    assert {f"{platform.name}_{name}".upper() for name in platform.addresses} <= names
    assert platform.addresses.keys() | platform.sandbox_values.keys() <= set(
        platform.settings.model_fields
    )


def test_an_address_is_the_one_given_the_sandboxs_or_the_real_one() -> None:
    real = {
        "base_url": "https://api.kite.trade",
        "login_url": "https://kite.zerodha.com/connect/login",
    }
    assert ZERODHA.urls(settings(sandbox=False)) == real
    assert ZERODHA.urls(settings(zerodha_sandbox_port=1234)) == {
        "base_url": "http://127.0.0.1:1234",
        "login_url": "http://127.0.0.1:1234/connect/login",
    }
    given = settings(zerodha_base_url="http://kite.test", sandbox=False)
    assert ZERODHA.urls(given) == {**real, "base_url": "http://kite.test"}


def test_the_environment_is_read_by_the_same_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FI_MONEY_SESSION_TTL", "60")
    assert FI_MONEY.of(settings()).session_ttl == 60


def test_the_sandbox_takes_an_app_that_nobody_set() -> None:
    sandboxed = ZERODHA.of(settings())
    assert (sandboxed.api_key, sandboxed.api_secret) == ("sandbox_key", SecretStr("sandbox_secret"))
    own = ZERODHA.of(settings(zerodha_api_key="mine"))
    assert (own.api_key, own.api_secret) == ("mine", SecretStr("sandbox_secret"))
    for elsewhere in ({"sandbox": False}, {"zerodha_base_url": "https://api.kite.trade"}):
        assert ZERODHA.of(settings(**elsewhere)).api_key is None


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        settings(port=0, zerodha_base_url="kite.trade", fi_money_session_ttl=1)
    named = [line.partition(":")[0] for line in str(caught.value).splitlines()]
    assert set(named) == {"PORT", "FI_MONEY_SESSION_TTL", "ZERODHA_BASE_URL"}


@pytest.mark.parametrize("name", ["FI_MONEY_SESSION_TTL", "FI_SESSION_TTL"])
def test_the_life_of_a_fi_login_has_two_names(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "600")
    assert FI_MONEY.of(settings()).session_ttl == 600


@pytest.mark.parametrize("name", ["zerodha_api_key", "zerodha_api_secret"])
def test_production_needs_the_whole_app(name: str) -> None:
    with pytest.raises(
        ConfigError, match="ZERODHA_API_KEY, ZERODHA_API_SECRET must be set together"
    ):
        settings(app_env="production", encryption_key=secrets.token_hex(32), **{name: "x"})
