"""Every platform of the contract, in its order: a word there is a folder here."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import finlink_words

from server.platforms.manifest import Manifest

PLATFORMS: Sequence[Manifest[Any]] = tuple(
    getattr(import_module(f"server.platforms.{name}.platform"), name.upper())
    for name in finlink_words.PLATFORMS
)
