"""Which platforms there are."""

from __future__ import annotations

import secrets
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import finlink_words
import pytest

from server.config import Settings
from server.platforms.building import build_platforms
from server.platforms.registry import PLATFORMS
from server.settings import load

ROOT = Path(__file__).parents[2]


def built(settings: Settings) -> Any:
    return build_platforms(settings, b"key", lambda *_: never, lambda _: lambda _: nullcontext())


async def never(*_: Any) -> Any:
    raise AssertionError("nothing is called")


def test_every_word_has_its_folders_and_every_folder_a_word() -> None:
    """The sandbox may stand in for others too."""

    def folders(package: str) -> set[str]:
        return {path.parent.name for path in (ROOT / package / "platforms").glob("*/__init__.py")}

    assert folders("server") == set(finlink_words.PLATFORMS) <= folders("sandbox")


def test_every_platform_is_built_as_its_manifest_says() -> None:
    platforms = built(load(_env_file=None))
    assert list(platforms) == [manifest.name for manifest in PLATFORMS]
    for manifest in PLATFORMS:
        platform = platforms[manifest.name]
        assert (platform.name, platform.data_types) == (manifest.name, manifest.data_types)


ADDRESSES = [f"{each.name}_{name}" for each in PLATFORMS for name in each.addresses]
PRODUCTION = {
    "app_env": "production",
    "encryption_key": secrets.token_hex(32),
    "public_url": "https://finlink.example",
    "email_verification": "optional",
}


@pytest.mark.parametrize(
    ("given", "driven"),
    [
        ({}, True),
        ({"sandbox": False}, False),
        ({**PRODUCTION, **dict.fromkeys(ADDRESSES, "http://127.0.0.1:1")}, False),
    ],
)
def test_logins_are_driven_at_this_machine_only(given: dict[str, object], driven: bool) -> None:
    """Not at real addresses, and never in production."""
    platforms = built(load(_env_file=None, **given))
    assert {each._driver is not None for each in platforms.values()} == {driven}
