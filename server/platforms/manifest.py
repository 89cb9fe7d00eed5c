"""A platform: a folder, named by its word in the contract, with a manifest in its `platform.py`.

Manifests are read by every process. The folder's `adapter.py` calls the platform and is imported only where
it is needed; its `build` makes a `Platform` of `Resources`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from finlink_words import DataType

from server.config import Settings, SettingsBase
from server.setting_types import Port

if TYPE_CHECKING:
    from server.platforms.base import RateLimit
    from server.platforms.login_driver import LoginDriver
    from server.platforms.session_lock import SessionLocks


class PlatformSettings(SettingsBase):
    """Settings of one platform. Their names begin with the platform's, by `env_prefix`."""

    sandbox_port: Port


S = TypeVar("S", bound=PlatformSettings)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a platform really is, and the path that stands for it at its sandbox."""

    url: str
    sandbox_path: str = ""


@dataclass(frozen=True)
class Manifest(Generic[S]):
    """`name` is the contract's word; `data_types` are also the permissions that it can grant.

    `addresses` are by the settings that replace them. `spacing` is the least time between two calls of one
    app, if the platform limits them. `sandbox_values` stand in for settings that are not given, while the
    sandbox is used.
    """

    name: str
    data_types: Sequence[DataType]
    settings: type[S]
    addresses: Mapping[str, Address]
    spacing: timedelta | None = None
    sandbox_values: Mapping[str, object] = field(default_factory=dict)

    def of(self, settings: Settings) -> S:
        own = settings.of(self.settings)
        if settings.use_sandbox and not self._given(own):
            missing = [name for name in self.sandbox_values if getattr(own, name) is None]
            return own.model_copy(update={name: self.sandbox_values[name] for name in missing})
        return own

    def urls(self, settings: Settings) -> Mapping[str, str]:
        """Where it is called: as set, else at the sandbox or at the real platform."""
        own = settings.of(self.settings)
        sandbox = self.sandbox_urls(f"http://127.0.0.1:{own.sandbox_port}")
        return {
            name: getattr(own, name) or (sandbox[name] if settings.use_sandbox else address.url)
            for name, address in self.addresses.items()
        }

    def sandbox_urls(self, sandbox: str) -> Mapping[str, str]:
        """The values of `addresses` at a sandbox of that address."""
        return {name: sandbox + address.sandbox_path for name, address in self.addresses.items()}

    def needs_sandbox(self, settings: Settings) -> bool:
        """Whether any of its addresses is the sandbox's."""
        given = self._given(settings.of(self.settings))
        return settings.use_sandbox and len(given) < len(self.addresses)

    def _given(self, own: S) -> list[str]:
        return [name for name in self.addresses if getattr(own, name) is not None]


@dataclass(frozen=True)
class Resources(Generic[S]):
    """The parts of an adapter.

    `hash_key` keeps logins from being guessed from their hashes. `rate_limit` is asked before each call, if
    the manifest has a spacing; `session_locks` let one process at a time call with a session. `login_driver`
    logs in without the user: at addresses of this machine only, never in production.
    """

    settings: S
    urls: Mapping[str, str]
    clock: Callable[[], datetime]
    hash_key: bytes
    rate_limit: RateLimit | None = None
    session_locks: SessionLocks | None = None
    login_driver: LoginDriver | None = None
