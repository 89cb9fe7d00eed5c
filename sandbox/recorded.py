"""Recorded responses served in place of generated ones.

Layout: `kite/<call>.json`, whole response bodies, the same for every login; and
`fi/<phone>/<tool>.json`, one folder a login. All of it is read and checked at start.
"""

import json
from pathlib import Path
from typing import Any

from sandbox.fi.data import NOTHING
from sandbox.kite.answers import KiteError
from sandbox.kite.data import EMPTY, KiteData


class RecordingError(Exception):
    """The recordings cannot be served; the message says which and why."""


class RecordedKiteData:
    """Serves recordings unchanged; `fallback` knows the user if no recording does."""

    def __init__(self, folder: Path, fallback: KiteData) -> None:
        self._fallback = fallback
        self._calls: dict[str, Any] = {}
        for path in sorted(folder.glob("*.json")):
            document = json.loads(_read(path))
            if not isinstance(document, dict) or "data" not in document:
                raise RecordingError(f"{path}: not a Kite response, which has a `data` field")
            self._calls[path.stem] = document["data"]

    def user(self, user_id: str) -> dict[str, Any]:
        for call in ("generate_session", "profile"):
            if call in self._calls:
                return dict(self._calls[call])
        return self._fallback.user(user_id)

    def read(self, call: str, user_id: str) -> Any:
        if call in self._calls:
            return self._calls[call]
        if call in EMPTY:
            return EMPTY[call]
        raise KiteError(404, "GeneralException", f"No recording of `{call}`.")


class RecordedFiData:
    def __init__(self, folder: Path) -> None:
        self._logins = {
            login.name: {path.stem: _read(path) for path in sorted(login.glob("*.json"))}
            for login in sorted(folder.glob("*/"))
        }

    @property
    def logins(self) -> list[str]:
        return list(self._logins)

    def read(self, tool: str, phone: str) -> str:
        """A login without recordings of its own is served the first one's."""
        answers = self._logins.get(phone) or next(iter(self._logins.values()), {})
        return answers.get(tool, NOTHING)


def load_recordings(folder: Path, fallback: KiteData) -> tuple[RecordedKiteData, RecordedFiData]:
    if not folder.is_dir():
        raise RecordingError(f"{folder}: no such directory")
    if not any((folder / platform).is_dir() for platform in ("kite", "fi")):
        raise RecordingError(f"{folder}: holds neither a kite nor a fi directory")
    return RecordedKiteData(folder / "kite", fallback), RecordedFiData(folder / "fi")


def _read(path: Path) -> str:
    """The text of a file that holds valid JSON."""
    try:
        text = path.read_text(encoding="utf-8")
        json.loads(text)
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise RecordingError(f"{path}: not valid JSON: {error}") from error
    return text
