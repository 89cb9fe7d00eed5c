"""Tests turn the clock of all processes at once; what expires goes by it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from server import config
from tests.e2e import connector_steps as step
from tests.e2e.identity_steps import Json, bearer, signed_in
from tests.stack import Stack

CALLS = 12  # enough for each of two workers to be asked


def new_user(**fields: str) -> dict[str, str]:
    name = uuid.uuid4().hex
    return {"userId": name, "email": f"{name}@example.com", **fields}


def create(stack: Stack, user: dict[str, str], key: str = "") -> httpx.Response:
    headers = {"idempotency-key": key} if key else {}
    return httpx.post(f"{stack.rest}/api/v1/users", json=user, headers=headers)


def test_every_worker_takes_it_to_be_later(late: Stack) -> None:
    tomorrow = (datetime.now(UTC).date() + timedelta(days=1)).isoformat()
    late.turn_clock(timedelta())
    refused = [create(late, new_user(dateOfBirth=tomorrow)) for _ in range(CALLS)]
    assert {response.status_code for response in refused} == {400}
    late.turn_clock(timedelta(days=2))
    made = [create(late, new_user(dateOfBirth=tomorrow)) for _ in range(CALLS)]
    assert {response.status_code for response in made} == {201}


def test_an_idempotency_key_is_free_again_after_a_day(late: Stack) -> None:
    key, first, second = uuid.uuid4().hex, new_user(), new_user()
    late.turn_clock(timedelta())
    assert create(late, first, key).status_code == 201
    late.turn_clock(timedelta(hours=23))
    assert create(late, second, key).json()["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    late.turn_clock(timedelta(hours=25))
    assert create(late, second, key).status_code == 201


@pytest.mark.parametrize("app_env", ["development", "production"])
def test_only_tests_turn_it(app_env: str, tmp_path: Path) -> None:
    (tmp_path / "clock").write_bytes(bytes(8))
    with pytest.raises(config.ConfigError, match="CLOCK_FILE: is for tests"):
        config.load(_env_file=None, app_env=app_env, clock_file=tmp_path / "clock")


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match="CLOCK_FILE: must be a readable file of 8 bytes"):
        config.load(_env_file=None, app_env="test", clock_file=tmp_path / "nowhere")
    (tmp_path / "short").write_bytes(b"1")
    with pytest.raises(config.ConfigError, match="CLOCK_FILE: must be a readable file of 8 bytes"):
        config.load(_env_file=None, app_env="test", clock_file=tmp_path / "short")


async def test_a_sync_is_due_once_its_interval_is_over(late: Stack) -> None:
    late.turn_clock(timedelta())
    async with httpx.AsyncClient(base_url=f"{late.rest}/api/v1") as rest:
        user = uuid.uuid4().hex
        await step.create_user(rest, user)
        connector = (await step.connect(rest, user))["id"]
        first = await step.synced(rest, connector)
        assert first["totalSyncs"] == 1
        until_next = step.instant(first["nextSyncAt"]) - datetime.now(UTC)
        late.turn_clock(until_next + timedelta(seconds=1))
        second = await step.synced(rest, connector, 2)
    assert step.instant(second["nextSyncAt"]) - step.instant(first["nextSyncAt"]) >= until_next


async def test_a_call_moves_when_its_session_was_last_seen(late: Stack) -> None:
    late.turn_clock(timedelta())
    headers = {"user-agent": "elsewhere/1.0"}
    async with httpx.AsyncClient(base_url=f"{late.rest}/api/v1") as rest:
        session = await signed_in(rest, uuid.uuid4().hex)
        headers |= bearer(session)

        async def seen() -> Json:
            data = (await rest.get("/auth/me", headers=headers)).json()["data"]
            return dict(data["session"])

        first = await seen()
        assert first["lastSeenAt"] == first["createdAt"], "within the minute"
        assert first["userAgent"] != "elsewhere/1.0"
        late.turn_clock(timedelta(minutes=2))

        async def moved() -> Json | None:
            now = await seen()
            return now if now["lastSeenAt"] > first["lastSeenAt"] else None

        found = await step.eventually(moved, "the note of a use")
        assert step.instant(found["lastSeenAt"]) >= step.instant(first["createdAt"]) + timedelta(
            minutes=1
        )
        assert found["userAgent"] == "elsewhere/1.0"
        assert found["expiresAt"] == first["expiresAt"], "only a refresh prolongs it"
