"""Recorded responses, served in place of generated ones: a folder for each platform.

All of them are read and checked at the start.
"""

import json
from collections.abc import Iterable
from pathlib import Path


class RecordingError(Exception):
    """The recordings cannot be served; the message says which and why."""


def check_folder(folder: Path, platforms: Iterable[str]) -> None:
    if not folder.is_dir():
        raise RecordingError(f"{folder}: no such directory")
    names = list(platforms)
    if not any((folder / name).is_dir() for name in names):
        raise RecordingError(f"{folder}: has no directory named {' or '.join(names)}")


def read_recording(path: Path) -> str:
    """The text of a file that holds valid JSON."""
    try:
        text = path.read_text(encoding="utf-8")
        json.loads(text)
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise RecordingError(f"{path}: not valid JSON: {error}") from error
    return text
