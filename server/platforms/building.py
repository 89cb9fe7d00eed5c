"""Builds the platforms from their manifests."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from importlib import import_module
from typing import Any

from server.config import Settings
from server.core.clock import utc_now
from server.platforms.base import Platform, RateLimit
from server.platforms.login_driver import LoginDriver
from server.platforms.manifest import Manifest, Resources
from server.platforms.registry import PLATFORMS
from server.platforms.session_lock import SessionLocks
from server.security.outgoing import is_loopback


def build_platforms(
    settings: Settings,
    hash_key: bytes,
    rate_limit: Callable[[str, timedelta], RateLimit],
    session_locks: Callable[[str], SessionLocks],
) -> Mapping[str, Platform]:
    """Every platform by name. `rate_limit` is made of a name and a spacing, `session_locks` of a name."""
    return {
        manifest.name: build(
            manifest,
            settings,
            hash_key,
            rate_limit(manifest.name, manifest.spacing) if manifest.spacing else None,
            session_locks(manifest.name),
        )
        for manifest in PLATFORMS
    }


def build(
    manifest: Manifest[Any],
    settings: Settings,
    hash_key: bytes,
    rate_limit: RateLimit | None = None,
    session_locks: SessionLocks | None = None,
) -> Platform:
    urls = manifest.urls(settings)
    driven = all(map(is_loopback, urls.values())) and not settings.production
    resources = Resources(
        settings=manifest.of(settings),
        urls=urls,
        clock=utc_now,
        hash_key=hash_key,
        rate_limit=rate_limit,
        session_locks=session_locks,
        login_driver=LoginDriver(*urls.values()) if driven else None,
    )
    adapter = import_module(f"server.platforms.{manifest.name}.adapter")
    platform: Platform = adapter.build(resources)
    return platform
