"""The settings that lead a Finlink to a sandbox."""

from __future__ import annotations

from collections.abc import Mapping

from server.platforms.registry import PLATFORMS


def addresses_at(sandboxes: Mapping[str, str]) -> dict[str, str]:
    """`sandboxes`: where each platform's is."""
    return {
        f"{platform.name}_{setting}".upper(): url
        for platform in PLATFORMS
        for setting, url in platform.sandbox_urls(sandboxes[platform.name]).items()
    }
