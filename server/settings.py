"""All settings there are: those that all of Finlink shares, and those that platforms bring."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from server import config
from server.config import Settings
from server.platforms.registry import PLATFORMS

PARTS: tuple[type[BaseSettings], ...] = tuple(platform.settings for platform in PLATFORMS)


def load(**overrides: object) -> Settings:
    """Read and check the settings. Raises ConfigError with one line for each that is wrong."""
    return config.load(*PARTS, **overrides)


def every() -> Iterator[tuple[str, FieldInfo]]:
    """Each setting by its name in the environment."""
    kinds: tuple[type[BaseSettings], ...] = (Settings, *PARTS)
    for kind in kinds:
        prefix = kind.model_config.get("env_prefix", "")
        for name, info in kind.model_fields.items():
            yield f"{prefix}{name}".upper(), info


# What two Finlinks on one machine must not share.
PORT_SETTINGS = tuple(name for name, _ in every() if name.endswith("PORT"))
# What processes that need no secrets are not given.
SECRET_SETTINGS = frozenset(
    name for name, info in every() if info.annotation in {SecretStr, SecretStr | None}
)
