"""Which MCP session is logged in as whom."""

import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.clock import Clock

_SESSION_ID = re.compile(r"mcp-session-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Login:
    phone: str
    at: datetime


def new_session_id() -> str:
    return f"mcp-session-{uuid.uuid4()}"


def is_session_id(text: str) -> bool:
    """Only the form is checked: an id never handed out is as good (Fi MCP dev server behaviour)."""
    return _SESSION_ID.fullmatch(text) is not None


class Logins:
    """Logins by session id. They outlive a DELETE of the session (Fi MCP dev server behaviour)."""

    def __init__(self, clock: Clock, ttl: timedelta | None = None) -> None:
        self._clock = clock
        self._ttl = ttl
        self._logins: dict[str, Login] = {}
        # Whose any session is or was.
        self._owners: dict[str, str] = {}
        self._terminated: set[str] = set()

    def snapshot(self) -> dict[str, dict[str, str]]:
        return {
            session_id: {"phone": login.phone, "at": login.at.isoformat()}
            for session_id, login in self._logins.items()
        }

    def restore(self, snapshot: dict[str, dict[str, str]]) -> None:
        for session_id, entry in snapshot.items():
            self._logins[session_id] = Login(entry["phone"], datetime.fromisoformat(entry["at"]))
            self._owners[session_id] = entry["phone"]

    def log_in(self, session_id: str, phone: str) -> None:
        self._logins[session_id] = Login(phone, self._clock.now())
        self._owners[session_id] = phone

    def phone_of(self, session_id: str) -> str | None:
        login = self._logins.get(session_id)
        if login is None:
            return None
        if self._ttl is not None and self._clock.now() >= login.at + self._ttl:
            del self._logins[session_id]
            return None
        return login.phone

    def owner_of(self, session_id: str) -> str | None:
        return self._owners.get(session_id)

    def end_all(self, phone: str | None, *, revoke: bool) -> None:
        """Log a user out, or all; revoked sessions are gone with their logins."""
        for session_id, login in list(self._logins.items()):
            if phone in {None, login.phone}:
                del self._logins[session_id]
                if revoke:
                    self._terminated.add(session_id)

    def is_terminated(self, session_id: str) -> bool:
        return session_id in self._terminated
