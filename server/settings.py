"""All settings: those that all share, and those of Envoy, delivery, each platform and each domain."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from server import config
from server.config import KeySettings, Settings, SettingsBase, name_in_environment
from server.delivery.settings import DeliverySettings
from server.edge.settings import EdgeSettings
from server.platforms.registry import PLATFORMS


def _of_domains() -> Iterator[type[SettingsBase]]:
    """The classes of each `server/domains/<domain>/settings.py`; the domains themselves are not imported."""
    for path in sorted(Path(__file__).parent.glob("domains/*/settings.py")):
        module = import_module(f"server.domains.{path.parent.name}.settings")
        for value in vars(module).values():
            own = isinstance(value, type) and value.__module__ == module.__name__
            if own and issubclass(value, SettingsBase):
                yield value


PARTS: tuple[type[SettingsBase], ...] = (
    KeySettings, EdgeSettings, DeliverySettings, *(each.settings for each in PLATFORMS), *_of_domains(),
)  # fmt: skip


def load(**given: object) -> Settings:
    """Read and check all settings; see `config.load`."""
    return config.load(*PARTS, **given)


def every() -> Iterator[tuple[str, FieldInfo]]:
    """Each setting by its name in the environment."""
    kinds: tuple[type[SettingsBase], ...] = (Settings, *PARTS)
    for kind in kinds:
        for field, info in kind.model_fields.items():
            yield name_in_environment(kind, field), info


# Two Finlinks on one machine must not share these.
PORT_SETTINGS = tuple(name for name, _ in every() if name.endswith("PORT"))
# Processes that need no secrets do not get these.
SECRET_SETTINGS = frozenset(
    name for name, info in every() if info.annotation in {SecretStr, SecretStr | None}
)
_SECRET_PREFIXES = tuple(prefix.upper() for kind in PARTS for prefix in kind.secret_prefixes)


def is_secret(name: str) -> bool:
    """Whether a variable of the environment may hold a secret."""
    return name.upper() in SECRET_SETTINGS or name.upper().startswith(_SECRET_PREFIXES)
