"""Recorded responses of Kite: `<call>.json`, whole response bodies, the same for every login."""

import json
from pathlib import Path
from typing import Any

from sandbox.platforms.zerodha.data import EMPTY, KiteData
from sandbox.platforms.zerodha.replies import KiteError
from sandbox.recorded import RecordingError, read_recording


class RecordedKiteData:
    """Serves recordings unchanged; `fallback` knows the user if no recording does."""

    def __init__(self, folder: Path, fallback: KiteData) -> None:
        self._fallback = fallback
        self._calls: dict[str, Any] = {}
        for path in sorted(folder.glob("*.json")):
            document = json.loads(read_recording(path))
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
