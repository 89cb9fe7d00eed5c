"""Recorded responses of Fi: `<phone>/<tool>.json`, one folder a login."""

from pathlib import Path

from sandbox.platforms.fi_money.data import NOTHING
from sandbox.recorded import read_recording


class RecordedFiData:
    def __init__(self, folder: Path) -> None:
        self._logins = {
            login.name: {path.stem: read_recording(path) for path in sorted(login.glob("*.json"))}
            for login in sorted(folder.glob("*/"))
        }

    def read(self, tool: str, phone: str) -> str:
        """A login without recordings of its own is served the first one's."""
        replies = self._logins.get(phone) or next(iter(self._logins.values()), {})
        return replies.get(tool, NOTHING)
