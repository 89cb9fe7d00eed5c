"""Clients that others' generators make of docs/openapi.yaml do what users want, against a running Finlink.

Each is built as strictly as its language allows, with a program of its own (`generators/*/program.*`) that
uses what it gives as types: `connect` makes a user and a connector; `read` reads records, filters by times,
exports, and is refused.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from server.core.access import digest, new_key
from tests.e2e.connector_steps import synced
from tests.openapi.generators.clients import CLIENTS, COMMANDS, Command
from tests.openapi.generators.environments import run
from tests.stack import ROOT, Stack, running

KEY = new_key()
PERMISSIONS = ["transactions", "portfolio", "profile", "trades"]
Json = dict[str, Any]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Finlink that serves nobody without a key."""
    folder = tmp_path_factory.mktemp("guarded")
    with running(folder, API_KEYS=f"generated:admin:{digest(KEY)}") as started:
        yield started


@pytest.fixture(scope="module", params=CLIENTS)
def client(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Command]:
    """Its name, and its program."""
    folder = tmp_path_factory.mktemp("client")
    return request.param, CLIENTS[request.param](folder)


@pytest.mark.parametrize("name", CLIENTS)
def test_the_guide_has_its_command(name: str) -> None:
    assert f"\n{COMMANDS[name]}\n" in (ROOT / "docs" / "api.md").read_text()


@pytest.mark.full_only
async def test_it_does_what_its_users_want(guarded: Stack, client: tuple[str, Command]) -> None:
    user_id, program = client
    connected = said(program, "connect", guarded, user_id)
    connector = connected.pop("connector")
    assert connected == {
        "user": user_id,
        "born": "1990-01-15",
        "income": 1_200_000.5,
        "risk": "medium",
        "tags": ["premium"],
        "status": "connected",
    }
    async with httpx.AsyncClient(
        base_url=f"{guarded.rest}/api/v1", headers={"x-api-key": KEY}, timeout=40
    ) as rest:
        await synced(rest, connector)
        found = said(program, "read", guarded, user_id, connector)
        assert found == await expected(rest, user_id, connector)


def said(program: Command, phase: str, guarded: Stack, *names: str) -> Json:
    printed: Json = json.loads(
        run(*program, phase, guarded.rest, KEY, *names, cwd=guarded.data_dir)
    )
    return printed


async def expected(rest: httpx.AsyncClient, user_id: str, connector: str) -> Json:
    """The same, read as plain JSON."""
    records: list[Json] = []
    query: Json = {"limit": 100}
    while query.get("pageToken", "first"):
        page = (await rest.get(f"/connectors/{connector}/records", params=query)).json()["data"]
        records += page["records"]
        query["pageToken"] = page["pagination"].get("nextPageToken", "")
    row = next(record for record in records if "transaction" in record)
    summary = (await rest.get("/connectors/status")).json()["data"]["summary"]
    events = (await rest.get("/audit-events", params={"userId": user_id})).json()["data"]["events"]
    # The export that the program made came after it had read the events.
    actions = [event["action"] for event in events if event["action"] != "user.exported"]
    status = (await rest.get(f"/connectors/{connector}/sync-status")).json()["data"]
    assert {record["dataType"] for record in records} == {*PERMISSIONS}
    wrong = {
        "userId": user_id,
        "email": "user@example.com",
        "phoneNumber": "+12",
        "preferences": {"currency": "ZZZ"},
    }
    taken = {"userId": user_id, "email": f"{user_id}@example.com"}
    refused = [
        refusal(await rest.post("/users", json=wrong)),
        refusal(await rest.post("/users", json=taken)),
        refusal(await rest.get("/users/nobody")),
    ]
    assert [(each["status"], each["code"], len(each["fields"])) for each in refused] == [
        (400, "VALIDATION_ERROR", 2),
        (409, "USER_EXISTS", 2),
        (404, "USER_NOT_FOUND", 0),
    ]
    return {
        "records": Counter(record["dataType"] for record in records),
        "trades": sum("trade" in record for record in records),
        "holdings": sum("holding" in record for record in records),
        "transaction": {
            "id": row["id"],
            "date": row["transaction"]["date"],
            "direction": row["transaction"]["direction"],
            "amount": row["transaction"]["amount"]["value"],
        },
        "connections": summary["totalConnections"],
        "actions": actions,
        "found": [user_id],
        "missing": ["nobody"],
        "outcomes": [entry["status"] for entry in status["syncHistory"]],
        "exported": len(records),
        "complete": True,
        "errors": refused,
    }


def refusal(response: httpx.Response) -> Json:
    error = response.json()["error"]
    return {
        "status": response.status_code,
        "code": error["code"],
        "message": error["message"],
        "fields": [[detail["field"], detail["message"]] for detail in error["details"]],
    }
