"""Logins that outlive a restart of the sandbox."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from starlette.applications import Starlette

from sandbox.app import remembering
from sandbox.clock import Clock
from sandbox.memory import Memory
from sandbox.platforms.fi_money.adapter import FiMoneyAdapter
from sandbox.platforms.fi_money.sessions import Logins, new_session_id
from sandbox.platforms.manifest import Served
from sandbox.platforms.zerodha.adapter import ZerodhaAdapter
from sandbox.platforms.zerodha.sessions import Sessions

SECRET = "sandbox_secret"


def checksum(api_key: str, token: str) -> str:
    return hashlib.sha256(f"{api_key}{token}{SECRET}".encode()).hexdigest()


def logged_in(sessions: Sessions, user_id: str) -> str:
    token = sessions.log_in("key", user_id)
    return sessions.exchange("key", token, checksum("key", token)).access_token


def kept_in(path: Path, sessions: Sessions, logins: Logins) -> Memory:
    platforms = {
        "zerodha": Served(
            Starlette(), ZerodhaAdapter(sessions, []), sessions.snapshot, sessions.restore
        ),
        "fi_money": Served(Starlette(), FiMoneyAdapter(logins), logins.snapshot, logins.restore),
    }
    return remembering(path, platforms)


def test_logins_are_known_again(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    sessions, logins = Sessions(Clock(), SECRET, ["key"]), Logins(Clock())
    memory = kept_in(path, sessions, logins)
    dead, live = logged_in(sessions, "AB1"), logged_in(sessions, "AB2")
    refresh_token = sessions.authenticate("key", live).refresh_token
    sessions.end("key", dead)
    session_id = new_session_id()
    logins.log_in(session_id, "2222222222")
    memory.save()
    assert path.stat().st_mode & 0o777 == 0o600

    again, logins_again = Sessions(Clock(), SECRET, ["key"]), Logins(Clock())
    kept_in(path, again, logins_again)
    assert again.authenticate("key", live).user_id == "AB2"
    assert again.owner_of(dead) is None
    assert logins_again.phone_of(session_id) == "2222222222"
    renewed = again.renew("key", refresh_token, checksum("key", refresh_token))
    assert renewed.user_id == "AB2"


def test_a_file_that_cannot_be_read_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    for content in ("{", "[]", json.dumps({})):
        path.write_text(content)
        assert Memory(path, dict).load() == {}
