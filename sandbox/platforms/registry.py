"""Every platform of the sandbox: the packages beside this file, each with its manifest."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from sandbox.platforms.manifest import Manifest


def _manifest(name: str) -> Manifest[Any]:
    manifest: Manifest[Any] = getattr(
        import_module(f"sandbox.platforms.{name}.manifest"), name.upper()
    )
    return manifest


PLATFORMS: Sequence[Manifest[Any]] = tuple(
    _manifest(each.name) for each in iter_modules([str(Path(__file__).parent)]) if each.ispkg
)
