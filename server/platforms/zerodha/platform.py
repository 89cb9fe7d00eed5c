"""Zerodha: what Finlink knows of it before it calls it. Source: Kite Connect documentation."""

from collections.abc import Iterator
from datetime import timedelta

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from server.platforms.manifest import Address, Manifest, PlatformSettings
from server.setting_types import HttpUrl, Port


class ZerodhaSettings(PlatformSettings):
    """`api_key` and `api_secret` are of the deployment's Kite app, for callers who send none of their own."""

    model_config = SettingsConfigDict(env_prefix="zerodha_")

    sandbox_port: Port = 8085
    base_url: HttpUrl | None = None
    login_url: HttpUrl | None = None
    api_key: str | None = None
    api_secret: SecretStr | None = None

    def problems(self) -> Iterator[str]:
        # In development the sandbox takes any app.
        if self.production and (self.api_key is None) != (self.api_secret is None):
            yield "ZERODHA_API_KEY, ZERODHA_API_SECRET must be set together or not at all"


ZERODHA = Manifest(
    name="zerodha",
    data_types=("portfolio", "trades", "profile"),
    settings=ZerodhaSettings,
    addresses={
        "base_url": Address("https://api.kite.trade"),
        "login_url": Address("https://kite.zerodha.com/connect/login", "/connect/login"),
    },
    # Zerodha allows 10 calls in any second of one app. 11 of them then take 1.2 seconds, which leaves 0.05
    # for setting out late (see RateLimiter) and 0.15 for a way there that takes longer for some.
    spacing=timedelta(milliseconds=120),
    sandbox_values={"api_key": "sandbox_key", "api_secret": SecretStr("sandbox_secret")},
)
