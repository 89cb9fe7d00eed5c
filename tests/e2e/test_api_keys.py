"""A Finlink that has API keys: who may call what, and how keys come and go."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeAlias

import grpc
import httpx
import pytest

from server.core.access import Scope, digest, new_key
from server.core.authorization import Reach
from server.rpc.method import Method
from tests.contract.descriptors import ids, methods
from tests.e2e.users_errors import grpc_error, rest_error
from tests.stack import ROOT, Stack, free_ports, running
from tests.supervisor.harness import patiently

METHODS = methods()
_Call: TypeAlias = Any  # of bytes to bytes
every_rpc = pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))
FIXED = {scope: new_key() for scope in Scope}
ENTRIES = ",".join(
    f"{scope.name.lower()}-key:{scope.name.lower()}:{digest(key)}" for scope, key in FIXED.items()
)
ADMIN = {"x-api-key": FIXED[Scope.ADMIN]}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("guarded"), API_KEYS=ENTRIES, WORKERS="1") as stack:
        yield stack


@pytest.fixture
async def rest_of(guarded: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=guarded.rest) as client:
        yield client


@pytest.fixture
async def channel_of(guarded: Stack) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(guarded.grpc) as opened:
        yield opened


def command(guarded: Stack, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATA_DIR": str(guarded.data_dir), **settings}
    return subprocess.run(
        [sys.executable, "-m", "server", "keys", *arguments],
        cwd=ROOT, env=environment, text=True, capture_output=True, check=False,
    )  # fmt: skip


def refused_keys(method: Method) -> list[tuple[str | None, str]]:
    """Keys that must not do, and why. A key that is sent must hold, also where none is needed."""
    if method.access.reach is Reach.PUBLIC:
        return [(new_key(), "UNAUTHENTICATED")]
    if method.access.is_own:  # needs a user, whatever the key
        return [(None, "UNAUTHENTICATED"), (FIXED[Scope.ADMIN], "UNAUTHENTICATED")]
    small = [(FIXED[scope], "PERMISSION_DENIED") for scope in Scope if scope < method.access.scope]
    return [(None, "UNAUTHENTICATED"), (new_key(), "UNAUTHENTICATED"), *small]


@every_rpc
async def test_without_a_key_that_allows_it_no_rpc_is_served(
    method: Method, rest_of: httpx.AsyncClient, channel_of: grpc.aio.Channel
) -> None:
    """The requests are empty: a key that does would get as far as the fields that are wrong."""
    path = method.http_path
    for name in method.path_fields:
        path = path.replace(f"{{{name}}}", "x")
    call: _Call = channel_of.unary_unary(method.path)
    for key, code in refused_keys(method):
        headers = {} if key is None else {"x-api-key": key}
        reply = await rest_of.request(method.verb.upper(), path, headers=headers)
        assert rest_error(reply.status_code, reply.content, path).code == code
        with pytest.raises(grpc.RpcError) as caught:
            await call(b"", metadata=tuple(headers.items()))
        assert grpc_error(caught.value).code == code


@pytest.mark.parametrize("scope", Scope)
async def test_a_key_allows_its_scope_and_those_before_it(
    scope: Scope, rest_of: httpx.AsyncClient, new_id: str
) -> None:
    headers = {"x-api-key": FIXED[scope]}
    assert (await rest_of.get("/api/v1/users", headers=headers)).status_code == 200
    body = {"userId": new_id, "email": f"{new_id}@example.com"}
    reply = await rest_of.post("/api/v1/users", headers=headers, json=body)
    assert reply.status_code == (403 if scope is Scope.READ else 201)


@pytest.mark.parametrize("scope", [Scope.WRITE, Scope.ADMIN])
async def test_what_a_key_changes_of_users(
    scope: Scope, rest_of: httpx.AsyncClient, new_id: str
) -> None:
    """Roles and emails need a key to administer; with a lesser one nothing is changed."""
    headers, may = {"x-api-key": FIXED[scope]}, scope is Scope.ADMIN
    place, email = f"/api/v1/users/{new_id}", f"{new_id}@example.com"
    body = {"userId": new_id, "email": email, "role": "moderator"}
    made = await rest_of.post("/api/v1/users", headers=headers, json=body)
    assert made.status_code == (201 if may else 403)
    if not may:
        assert [each["field"] for each in made.json()["error"]["details"]] == ["role"]
        made = await rest_of.post("/api/v1/users", headers=headers, json={**body, "role": None})
    changes = {"city": "Pune", "status": "inactive", "metadata": {"tags": ["a"]}}
    assert (await rest_of.patch(place, headers=headers, json=changes)).status_code == 200
    more = {"city": "Goa", "email": f"b_{email}", "role": "user"}
    reply = await rest_of.patch(place, headers=headers, json=more)
    assert reply.status_code == (200 if may else 403)
    if not may:
        named = {each["field"] for each in reply.json()["error"]["details"]}
        assert named == {"email", "role"}
    now = (await rest_of.get(place, headers=ADMIN)).json()["data"]
    assert (now["email"], now["profile"]["city"]) == (
        (f"b_{email}", "Goa") if may else (email, "Pune")
    )
    role = await rest_of.put(f"{place}/role", headers=headers, json={"role": "user"})
    assert role.status_code == (200 if may else 403)


async def test_a_key_comes_and_goes(guarded: Stack, rest_of: httpx.AsyncClient) -> None:
    made = command(guarded, "create", "reporting", "--scope", "read")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)["key"]
    await _until(rest_of, key, 200)
    listed = command(guarded, "list")
    assert key not in listed.stdout
    rows = {row["name"]: row for row in json.loads(listed.stdout)}
    assert (rows["reporting"]["scope"], rows["reporting"]["revoked"]) == ("read", None)
    assert command(guarded, "revoke", "reporting", API_KEYS=ENTRIES).returncode == 0
    await _until(rest_of, key, 401)
    reported = await rest_of.get("/api/v1/audit-events", headers=ADMIN)
    actions = [event["action"] for event in reported.json()["data"]["events"]]
    assert actions[:2] == ["api_key.revoked", "api_key.created"]
    again = command(guarded, "create", "reporting")
    assert (again.returncode, "choose another name" in again.stderr) == (1, True)


async def _until(rest_of: httpx.AsyncClient, key: str | None, status: int) -> None:
    """Servers read the keys again every other second."""
    headers = {} if key is None else {"x-api-key": key}
    for _ in range(2_000):
        reply = await rest_of.get("/api/v1/users", headers=headers)
        if reply.status_code == status:
            return
    raise AssertionError(f"still {reply.status_code}")


async def test_a_service_acts_for_a_user(rest_of: httpx.AsyncClient) -> None:
    write, read = ({"x-api-key": FIXED[scope]} for scope in (Scope.WRITE, Scope.READ))
    for user_id in ("ann", "bob"):
        body = {"userId": user_id, "email": f"{user_id}@example.com"}
        made = await rest_of.post("/api/v1/users", json=body, headers=write)
        assert made.status_code == 201, made.text
    for_ann = {**write, "x-on-behalf-of": "ann"}
    body = {"city": "Pune"}
    changed = await rest_of.put("/api/v1/users/ann/profile", json=body, headers=for_ann)
    assert changed.status_code == 200, changed.text
    outcomes = [
        (await rest_of.put("/api/v1/users/bob/profile", json=body, headers=for_ann), 403),
        (await rest_of.get("/api/v1/users/bob", headers=for_ann), 403),
        (await rest_of.get("/api/v1/users", headers=for_ann), 403),
        (await rest_of.delete("/api/v1/users/ann", headers=for_ann), 403),
        (await rest_of.get("/api/v1/users/ann", headers={**read, "x-on-behalf-of": "ann"}), 403),
        (
            await rest_of.get("/api/v1/users/ann", headers={**write, "x-on-behalf-of": "no one"}),
            400,
        ),
        (await rest_of.get("/api/v1/users/cat", headers={**write, "x-on-behalf-of": "cat"}), 404),
        (await rest_of.get("/api/v1/users/ann", headers={"x-on-behalf-of": "ann"}), 401),
    ]
    assert [reply.status_code for reply, _ in outcomes] == [status for _, status in outcomes]
    trail = await rest_of.get("/api/v1/audit-events?userId=ann&limit=1", headers=ADMIN)
    (event,) = trail.json()["data"]["events"]
    assert (event["actor"]["key"], event["actor"]["onBehalfOf"]) == ("write-key", "ann")


async def test_a_key_looks_tokens_up(rest_of: httpx.AsyncClient) -> None:
    read = {"x-api-key": FIXED[Scope.READ]}
    body = {"email": "eve@example.com", "password": "correct horse battery", "userId": "eve"}
    assert (await rest_of.post("/api/v1/auth/register", json=body)).status_code == 201
    login = {"username": "eve", "password": body["password"]}
    session = (await rest_of.post("/api/v1/auth/login", json=login)).json()["data"]
    asked = {"token": session["token"]}
    reply = await rest_of.post("/api/v1/auth/introspect", json=asked, headers=read)
    data = reply.json()["data"]
    assert (data["active"], data["userId"], data["amr"]) == (True, "eve", ["pwd"])
    other = await rest_of.post("/api/v1/auth/introspect", json={"token": "x"}, headers=read)
    assert other.json()["data"] == {"active": False, "amr": []}
    # A service that has her token may do no more than she and its key.
    both = {**read, "authorization": f"Bearer {session['token']}"}
    assert (await rest_of.get("/api/v1/users/eve", headers=both)).status_code == 200
    assert (await rest_of.get("/api/v1/users/ann", headers=both)).status_code == 403
    changed = await rest_of.put("/api/v1/users/eve/profile", json={"city": "x"}, headers=both)
    assert changed.status_code == 403


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "two words"), "NAME must be"),
        (("revoke", "nobody"), "the database has no key nobody"),
        (("create", "x", "--scope", "all"), "'all' is not one of"),
    ],
)
def test_commands_say_what_is_wrong(guarded: Stack, arguments: tuple[str, ...], says: str) -> None:
    outcome = command(guarded, *arguments)
    assert outcome.returncode != 0
    assert says in outcome.stderr


def test_the_log_names_the_key_and_does_not_show_it(guarded: Stack) -> None:
    headers = {"x-api-key": FIXED[Scope.READ]}
    httpx.get(f"{guarded.rest}/api/v1/connectors/status", headers=headers).raise_for_status()
    patiently(lambda: '"key": "read-key"' in guarded.log.read_text(), guarded.log)
    log = guarded.log.read_text()
    assert not [key for key in FIXED.values() if key in log]


async def test_health_needs_no_key(guarded: Stack, channel_of: grpc.aio.Channel) -> None:
    call: _Call = channel_of.unary_unary("/grpc.health.v1.Health/Check")
    assert await call(b"") == b"\x08\x01"


@pytest.mark.full_only
def test_production_does_not_start_open(guarded: Stack) -> None:
    clean = {key: value for key, value in os.environ.items() if key != "API_KEYS"}
    environment = {
        **clean,
        "APP_ENV": "production",
        "PUBLIC_URL": "https://finlink.example",
        "EMAIL_VERIFICATION": "optional",
        "MONGODB_URI": guarded.mongodb_uri.replace("/?", "/open?"),
        "ENCRYPTION_KEY": "5d9f2a1c7e804b36a1f0c2d4e6b8937150a2c4e6f8091b3d5f7a9c0e2d4b6f81",
    }
    (port,) = free_ports(1)
    outcome = subprocess.run(
        [sys.executable, "-m", "server", "serve", "--listen", f"127.0.0.1:{port}"],
        cwd=ROOT, env=environment, text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert outcome.returncode == 1
    assert "API_KEYS: without keys anybody may call" in outcome.stderr


@pytest.fixture(scope="module")
def open_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("open"), WORKERS="1") as stack:
        yield stack


@pytest.mark.full_only
async def test_nobody_is_locked_out_by_accident(open_one: Stack) -> None:
    async with httpx.AsyncClient(base_url=open_one.rest) as client:
        made = [json.loads(command(open_one, "create", name).stdout) for name in ("one", "two")]
        await _until(client, made[0]["key"], 200)
        assert command(open_one, "revoke", "two").returncode == 0
        last = command(open_one, "revoke", "one")
        assert (last.returncode, "one is the last key" in last.stderr) == (1, True)
        assert "--yes" in last.stderr
        assert command(open_one, "revoke", "one", "--yes").returncode == 0
        await _until(client, made[0]["key"], 401)

        refused = command(open_one, "reset")
        assert (refused.returncode, "anyone may call" in refused.stderr) == (1, True)
        production = command(
            open_one, "reset", "--yes", APP_ENV="production", ENCRYPTION_KEY=secrets.token_hex(32),
            PUBLIC_URL="https://finlink.example", EMAIL_VERIFICATION="optional",
        )  # fmt: skip
        assert (production.returncode, "needs API keys" in production.stderr) == (1, True)
        assert command(open_one, "reset", "--yes").stdout == "2 removed\n"
        await _until(client, None, 200)
        await _until(client, made[0]["key"], 401)  # a key that is sent must hold
        reported = (await client.get("/api/v1/audit-events")).json()["data"]["events"]
        assert reported[0]["action"] == "api_key.reset"
