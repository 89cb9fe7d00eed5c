"""Which platforms there are."""

from __future__ import annotations

from typing import Any

from finlink_words import PLATFORMS

from server.config import Settings
from server.platforms.registry import build_platforms


def never(*_: Any) -> Any:
    raise AssertionError("nothing is called")


def test_every_word_for_a_platform_has_one_built() -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    platforms = build_platforms(settings, b"key", never, never)
    assert set(platforms) == set(PLATFORMS)
    assert all(platform.data_types for platform in platforms.values())
