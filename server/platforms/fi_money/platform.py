"""Fi Money: what Finlink knows of it before it calls it. Source: Fi's published documentation."""

from typing import Annotated

from pydantic import AliasChoices, Field
from pydantic_settings import SettingsConfigDict

from server.platforms.manifest import Address, Manifest, PlatformSettings
from server.setting_types import HttpUrl, Port


class FiMoneySettings(PlatformSettings):
    """`session_ttl`: seconds that a login is taken to last; Fi publishes no figure."""

    model_config = SettingsConfigDict(env_prefix="fi_money_")

    sandbox_port: Port = 8086
    base_url: HttpUrl | None = None
    session_ttl: Annotated[int, Field(ge=60, le=86_400)] = Field(
        default=1_800,
        validation_alias=AliasChoices("FI_MONEY_SESSION_TTL", "FI_SESSION_TTL", "session_ttl"),
    )


FI_MONEY = Manifest(
    name="fi_money",
    data_types=("transactions", "portfolio", "trades", "profile"),
    settings=FiMoneySettings,
    addresses={"base_url": Address("https://mcp.fi.money:8080/mcp/stream", "/mcp/stream")},
)
