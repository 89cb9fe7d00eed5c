"""What HTTP allows beside a plain call: HEAD, HTTP/1.0, bodies and headers where none belong."""

from __future__ import annotations

import gzip
import json
import re
import uuid
from typing import Any

import httpx
import pytest

from codegen.envoy import published
from server.rpc.method import Method
from tests.contract.descriptors import ids, methods_for_nobody
from tests.e2e import connector_steps as step
from tests.e2e.strictness_calls import Reply, raw
from tests.e2e.users_errors import Failure, failed
from tests.stack import Stack

METHODS = methods_for_nobody()
WITHOUT_BODY = [method for method in METHODS if not method.has_body]
READS = [method for method in METHODS if method.verb == "get"]
PATH = {"platform": "zerodha", "sync_id": "sync_" + "0" * 24}
ROUTE_NOT_FOUND = Failure("ROUTE_NOT_FOUND", "No such path, or not this method on it")


def path_of(method: Method, user_id: str) -> str:
    """Its path, of a user that may be there and a connector that is not."""
    values = {"user_id": user_id, **PATH}
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], "0" * 24), method.http_path)


@pytest.fixture
async def user(rest: httpx.AsyncClient, new_id: str) -> str:
    await step.create_user(rest, new_id)
    return new_id


# --- bodies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", WITHOUT_BODY, ids=ids(WITHOUT_BODY))
def test_a_body_where_none_is_taken(stack: Stack, method: Method) -> None:
    path = path_of(method, "someone")
    verb, line = method.verb.upper(), f"{method.verb.upper()} {path} HTTP/1.1".encode()
    bodies = [b'{"deleteRecords": true}', b"not JSON", b"\x1f\x8b"]
    replies = [raw(stack.rest, line, body=body).failure(path) for body in bodies]
    chunked = b"Transfer-Encoding: chunked"
    replies.append(raw(stack.rest, line, chunked, end=b"2\r\n{}\r\n0\r\n\r\n").failure(path))
    with httpx.Client(http1=False, http2=True) as http2:  # where no header shows a body
        replies.append(failed(http2.request(verb, stack.rest + path, content=iter([b"{}"]))))
    for reply in replies:
        assert reply.code == "VALIDATION_ERROR"
        assert reply.fields["body"].startswith("must be left out")
        assert all(name in reply.fields["body"] for name in method.query_fields)


async def test_a_deletion_with_a_body_deletes_nothing(rest: httpx.AsyncClient, user: str) -> None:
    connector = await step.connect(rest, user, "fi_money")
    url = f"/connectors/{connector['id']}"
    reply = await rest.request("DELETE", url, json={"deleteRecords": True})
    assert "deleteRecords" in failed(reply).fields["body"]
    found = (await rest.get(url)).json()["data"]
    assert found["connectionStatus"] == "connected"
    assert (await rest.request("DELETE", f"/users/{user}", json={})).status_code == 400
    assert (await rest.get(f"/users/{user}")).status_code == 200


async def test_a_compressed_body(rest: httpx.AsyncClient, stack: Stack, new_id: str) -> None:
    body = gzip.compress(json.dumps({"userId": new_id, "email": f"{new_id}@x.example"}).encode())
    reply = await rest.post("/users", content=body, headers={"content-encoding": "gzip"})
    assert failed(reply).fields.keys() == {"Content-Encoding"}
    line = b"POST /api/v1/users HTTP/1.1"
    refused = raw(stack.rest, line, b"Transfer-Encoding: gzip, chunked").failure(None)
    assert refused.fields.keys() == {"Transfer-Encoding"}
    assert (await rest.get(f"/users/{new_id}")).status_code == 404


def test_an_upgrade_is_refused_by_name(stack: Stack) -> None:
    line = b"GET /api/v1/users HTTP/1.1"
    reply = raw(stack.rest, line, b"Connection: upgrade", b"Upgrade: websocket")
    assert reply.failure("/api/v1/users").fields.keys() == {"Upgrade"}


# --- headers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("second", ["a", "b"])
async def test_two_idempotency_keys(rest: httpx.AsyncClient, new_id: str, second: str) -> None:
    headers = [("Idempotency-Key", "a"), ("idempotency-key", second)]
    body = {"userId": new_id, "email": f"{new_id}@x.example"}
    failure = failed(await rest.post("/users", json=body, headers=headers))
    assert failure.fields == {"Idempotency-Key": "must be given once"}
    assert (await rest.get(f"/users/{new_id}")).status_code == 404


@pytest.mark.parametrize(
    ("name", "path"), [("X-Api-Key", "/users"), ("Last-Event-Id", "/connectors/watch")]
)
async def test_two_of_another_header_that_is_read(
    rest: httpx.AsyncClient, name: str, path: str
) -> None:
    failure = failed(await rest.get(path, headers=[(name, "a"), (name, "b")]))
    assert failure.fields == {name: "must be given once"}


# --- HTTP/1.0 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [[], [b"Host: finlink", b"Connection: close"]])
def test_http_1_0(stack: Stack, headers: list[bytes]) -> None:
    name = f"http10_{uuid.uuid4().hex[:12]}"
    body = json.dumps({"userId": name, "email": f"{name}@x.example"}).encode()
    created = http_1_0(stack, "POST /api/v1/users", headers, body)
    assert created.status == 201
    found = http_1_0(stack, f"GET /api/v1/users/{name}", headers)
    assert (found.status, json.loads(found.content)["data"]["userId"]) == (200, name)
    assert found.headers.get("transfer-encoding") is None, "HTTP/1.0 knows no chunks"
    lines = http_1_0(stack, f"GET /api/v1/users/{name}/export", headers).content.splitlines()
    assert "completed" in json.loads(lines[-1])
    refused = http_1_0(stack, "DELETE /api/v1/users/no!body", headers)
    assert refused.failure("/api/v1/users/no!body").fields.keys() == {"userId"}
    assert http_1_0(stack, "GET /ready", headers).status == 200


def test_a_line_without_a_version_is_http_0_9(stack: Stack) -> None:
    """Envoy takes both or none; the reply is as for HTTP/1.0."""
    assert raw(stack.rest, b"GET /api/v1/users", host=None).status == 200


def http_1_0(stack: Stack, line: str, headers: list[bytes], body: bytes = b"") -> Reply:
    return raw(stack.rest, f"{line} HTTP/1.0".encode(), *headers, body=body, host=None)


# --- HEAD -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", READS, ids=ids(READS))
async def test_head_is_served_as_get_is(stack: Stack, user: str, method: Method) -> None:
    """Of a stream, too: it ends, and the connection is free for the next call."""
    for path, version in zip(published(path_of(method, user)), (1, 2, 1), strict=False):
        async with httpx.AsyncClient(http1=version == 1, http2=version == 2) as client:
            for url in (f"{stack.rest}{path}", f"{stack.rest}{path}?nope=1"):
                async with client.stream("GET", url) as got:
                    expected = shown(got)
                head = await client.head(url)
                assert head.content == b""
                assert shown(head) == expected


def shown(reply: httpx.Response) -> dict[str, Any]:
    headers = ("content-type", "cache-control", "x-frame-options")
    return {"status": reply.status_code, **{name: reply.headers[name] for name in headers}}


async def test_head_has_the_length_of_the_reply_to_get(rest: httpx.AsyncClient, user: str) -> None:
    for path in (f"/users/{user}", "/users/nobody_here", "/users?x=1"):
        length = (await rest.get(path)).headers["content-length"]
        assert (await rest.head(path)).headers["content-length"] == length


@pytest.mark.parametrize(
    "path", ["/health", "/ready", "/api/v1/health", "/docs", "/openapi.yaml", "/console/"]
)
async def test_head_of_pages_and_probes(stack: Stack, path: str) -> None:
    async with httpx.AsyncClient(base_url=stack.rest) as client:
        got, head = await client.get(path), await client.head(path)
    assert head.content == b""
    assert (head.status_code, head.headers["cache-control"]) == (
        got.status_code,
        got.headers["cache-control"],
    )


# --- trailing slashes -------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))
async def test_a_path_with_a_slash_at_its_end_is_another(
    rest: httpx.AsyncClient, stack: Stack, method: Method
) -> None:
    """As no route has one, none is served by another route than its own."""
    for path in published(path_of(method, "someone")):
        for end in ("/", "//", "/?userId=x"):
            reply = await rest.request(method.verb.upper(), f"{stack.rest}{path}{end}")
            assert reply.status_code == 404
            assert reply.json()["error"]["code"] == ROUTE_NOT_FOUND.code
            assert reply.json()["error"]["message"] == ROUTE_NOT_FOUND.message


async def test_long_errors_are_compressed_but_not_those_of_signing_in(
    rest: httpx.AsyncClient,
) -> None:
    """Their body is put in place by Envoy itself."""
    many = {f"unknown{n}": "1" for n in range(40)}
    reply = await rest.get("/users", params=many)
    assert (reply.status_code, reply.headers["content-encoding"]) == (400, "gzip")
    assert len(reply.json()["error"]["details"]) == 40
    reply = await rest.post("/auth/login", json=many)
    assert (reply.status_code, reply.headers.get("content-encoding")) == (400, None)
    assert len(reply.content) > 1024
