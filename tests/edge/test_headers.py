"""What Envoy adds to answers, takes out of requests, and writes into its log."""

from __future__ import annotations

import json
from collections.abc import Iterator

import grpc
import httpx
import pytest

from codegen.envoy import BASES, published
from server.edge.access_log import shorten
from server.edge.limits import Limits
from tests.e2e.strictness_calls import raw
from tests.edge.edge_stack import EdgeStack, edge_stack, untyped
from tests.supervisor.harness import patiently

ORIGIN = "https://app.example"
SECURITY = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "server": "finlink",
}
USER = "/api/v1/users/someone"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeStack]:
    calls = dict.fromkeys(
        ("overall", "users", "connectors", "status", "sync", "auth", "sessions"), 1_000
    ) | {"status": 1}
    limits = Limits(calls=calls, cors_origins=[ORIGIN])
    with edge_stack(tmp_path_factory.mktemp("edge"), limits) as opened:
        yield opened


ANSWERS = {
    "a success": (b"GET /api/v1/users/someone HTTP/1.1", [], {200}),
    "no such path": (b"GET /nope HTTP/1.1", [], {404}),
    "escaped slashes": (b"GET /api/v1/users/a%2Fb HTTP/1.1", [], {400}),
    "no HTTP": (b"BREW /api/v1/users HTTP/1.1", [], {400}),
    "long headers": (b"GET /api/v1/users HTTP/1.1", [b"X-Long: " + b"a" * 20_000], {431}),
    "a long body": (b"POST /api/v1/users HTTP/1.1", [b"Content-Length: 70000"], {413}),
    "too many": (b"GET /api/v1/connectors/status HTTP/1.1", [], {200, 429}),
    "too many again": (b"GET /api/v1/connectors/status HTTP/1.1", [], {429}),
}  # fmt: skip


@pytest.mark.parametrize(("line", "headers", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_security_headers_on_all_replies(
    edge: EdgeStack, line: bytes, headers: list[bytes], expected: set[int]
) -> None:
    if b"Content-Length: 70000" in headers:
        reply = raw(edge.rest, line, body=b" " * 70_000)
    else:
        reply = raw(edge.rest, line, *headers)
    assert reply.status in expected
    assert {name: reply.headers.get(name) for name in SECURITY} == SECURITY
    assert "strict-transport-security" not in reply.headers, "that is for HTTPS"
    internal = [
        name for name in reply.headers if name.startswith(("x-envoy", "x-finlink", "grpc-"))
    ]
    assert internal == []


def test_cors_is_for_the_origins_named(edge: EdgeStack) -> None:
    asked = {"origin": ORIGIN, "access-control-request-method": "PUT",
             "access-control-request-headers": "content-type,idempotency-key"}  # fmt: skip
    allowed = httpx.options(f"{edge.rest}{USER}", headers=asked)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "PUT" in allowed.headers["access-control-allow-methods"]
    assert "idempotency-key" in allowed.headers["access-control-allow-headers"]
    assert allowed.headers["access-control-allow-credentials"] == "true"  # for the session's cookie
    reply = httpx.get(f"{edge.rest}{USER}", headers={"origin": ORIGIN})
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert "retry-after" in reply.headers["access-control-expose-headers"]
    for other in (
        "https://app.example.evil",
        "http://app.example",
        "https://app.example:8443",
        "null",
    ):
        refused = httpx.options(f"{edge.rest}{USER}", headers={**asked, "origin": other})
        assert refused.status_code == 404
        reply = httpx.get(f"{edge.rest}{USER}", headers={"origin": other})
        found = [*refused.headers, *reply.headers]
        assert [name for name in found if name.startswith("access-control")] == []


JSON = "application/json"


@pytest.mark.parametrize(
    ("path", "media_type", "size", "accepted", "compressed"),
    [
        (USER, JSON, 1024, "gzip", True),
        (USER, JSON, 1023, "gzip", False),
        (USER, JSON, 200_000, "br, gzip;q=0.5", True),
        (USER, JSON, 1024, "br", False),
        (USER, "text/csv", 1024, "gzip", True),
        (USER, "text/csv; charset=utf-8", 1024, "gzip", True),
        (USER, "application/pdf", 1024, "gzip", False),
        ("/api/v1/auth/me", JSON, 1024, "gzip", False),
        ("/v1/auth/me", JSON, 1024, "gzip", False),
        ("/api/v1/auth/sessions", JSON, 1024, "gzip", False),
    ],
)
def test_long_replies_are_compressed_unless_they_have_secrets(
    edge: EdgeStack, path: str, media_type: str, size: int, accepted: str, compressed: bool
) -> None:
    headers = {"reply-type": media_type, "reply-bytes": str(size), "accept-encoding": accepted}
    reply = httpx.get(edge.rest + path, headers=headers)
    assert reply.content == b"0" * size
    assert reply.headers.get("content-encoding") == ("gzip" if compressed else None)
    if compressed:
        assert "accept-encoding" in reply.headers["vary"].lower()
        assert int(reply.headers.get("content-length", 0)) < size
        head = httpx.head(edge.rest + path, headers=headers)
        assert (head.headers["content-encoding"], head.content) == ("gzip", b"")


def test_a_secret_is_never_compressed(edge: EdgeStack) -> None:
    headers = {"reply-type": JSON, "reply-bytes": "2000", "accept-encoding": "gzip"}
    for path in ("login", "register", "refresh", "reset-password"):
        reply = httpx.post(f"{edge.rest}/api/v1/auth/{path}", headers=headers, json={})
        assert reply.status_code == 200
        assert "content-encoding" not in reply.headers


SENT = {
    "x-envoy-original-path": "/x", "x-envoy-external-address": "10.0.0.1", "x-envoy-internal": "true",
    "x-envoy-retry-on": "5xx", "x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-max-retries": "9",
    "x-envoy-decorator-operation": "x", "x-finlink-status": "204", "x-finlink-client": "admin",
    "x-forwarded-for": "10.0.0.1", "x-forwarded-client-cert": "Subject=\"CN=admin\"",
    "x-forwarded-host": "other", "x-forwarded-port": "1", "x-real-ip": "10.0.0.1",
    "forwarded": "for=10.0.0.1",
}  # fmt: skip
KEPT = {"x-forwarded-for": "127.0.0.1", "x-envoy-original-path": USER}


def test_nothing_internal_comes_in_over_rest(edge: EdgeStack) -> None:
    more = {"grpc-timeout": "1n", "some-bin": "%%%", "x-forwarded-proto": "https", "no|name": "x"}
    assert httpx.get(f"{edge.rest}{USER}", headers={**SENT, **more}).status_code == 200
    got = edge.seen[-1].metadata
    assert {name: got[name] for name in SENT if name in got} == KEPT
    assert got.keys() & {"grpc-timeout", "some-bin", "no|name"} == set()
    assert got["x-forwarded-proto"] == "http"


async def test_nothing_internal_comes_in_over_grpc(edge: EdgeStack) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.grpc_port}") as channel:
        await untyped(channel, "/a.B/C")(b"", metadata=tuple(SENT.items()))
    got = edge.seen[-1].metadata
    assert got["x-forwarded-for"] == "127.0.0.1"
    assert got.pop("x-envoy-external-address") == "127.0.0.1", "as Envoy itself says"
    own = ("x-envoy-", "x-finlink-", "x-forwarded-client-cert")
    assert [name for name in got if name.startswith(own)] == []


def test_a_deadline_over_grpc_is_the_caller_s_business(edge: EdgeStack) -> None:
    """Whoever else ends a call then has to reset a stream that has begun, which reads as INTERNAL."""
    headers = {"content-type": "application/grpc", "te": "trailers", "grpc-timeout": "100m"}
    with httpx.Client(http1=False, http2=True) as client:
        url = f"http://127.0.0.1:{edge.grpc_port}/a.B/C"
        reply = client.post(url, headers={**headers, "wait-seconds": "0.5"}, content=bytes(5))
    assert reply.content == bytes(5), "an empty message, long after"


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeStack]:
    """One that writes every call down."""
    with edge_stack(tmp_path_factory.mktemp("talkative"), every_call=True) as opened:
        yield opened


def logged(edge: EdgeStack, request_id: str) -> str:
    """The log, once it has a line of this request: Envoy writes in batches."""
    edge.admin("/reopen_logs", "POST")
    patiently(lambda: request_id in edge.access_log.read_text(), edge.access_log)
    return edge.access_log.read_text()


async def test_a_long_access_log_is_put_aside(talkative: EdgeStack) -> None:
    log, admin_port = talkative.access_log, talkative.admin_port
    async with httpx.AsyncClient(base_url=talkative.rest) as client:
        await client.get(USER, headers={"x-request-id": "before"})
        assert '"before"' in logged(talkative, "before")
        await shorten(log, admin_port, limit=1_000_000)
        assert '"before"' in log.read_text()
        await shorten(log, admin_port, limit=1)
        assert '"before"' in log.with_suffix(".log.1").read_text()
        patiently(log.exists, talkative.log)
        await client.get(USER, headers={"x-request-id": "after"})
        assert '"before"' not in logged(talkative, "after")


@pytest.mark.parametrize("path", published(USER))
def test_the_access_log_has_a_line_a_call_and_no_secret(talkative: EdgeStack, path: str) -> None:
    secret, request_id = "hunter2hunter2", f"log-test-{path}"
    httpx.get(
        f"{talkative.rest}{path}?token={secret}",
        headers={"authorization": f"Bearer {secret}", "x-request-id": request_id, "cookie": secret,
                 "user-agent": secret, "referer": f"https://a.example/{secret}"},
    )  # fmt: skip
    text = logged(talkative, request_id)
    assert secret not in text
    lines = [json.loads(line) for line in text.splitlines()]
    (line,) = (line for line in lines if line.get("request_id") == request_id)
    assert line["method"] == "GET"
    assert line["path"] == path
    assert line["rpc"] == "/finlink.users.v1.UserService/GetUser"
    assert (line["code"], line["grpc_code"], line["route"]) == (200, "OK", "GetUser")
    assert line["address"] == "127.0.0.1"
    assert line["duration_ms"] >= 0


async def test_calls_that_a_server_has_logged_are_not_logged_again(edge: EdgeStack) -> None:
    async with httpx.AsyncClient(base_url=edge.rest) as client:
        await client.get(USER, headers={"x-request-id": "rest-answered"})
        await client.get(USER, headers={"x-request-id": "rest-slow", "wait-seconds": "1.1"})
        await client.get("/api/v1/nope", headers={"x-request-id": "rest-refused"})
    async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.grpc_port}") as channel:
        ask = untyped(channel, "/a.B/C")
        await ask(b"", metadata=[("x-request-id", "grpc-answered")])
        late = [("x-request-id", "grpc-late"), ("wait-seconds", "2")]
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(b"", metadata=late, timeout=0.2)
    for request_id in ("rest-slow", "rest-refused", "grpc-late"):
        text = logged(edge, request_id)
    assert "answered" not in text


def test_probes_reveal_nothing(edge: EdgeStack) -> None:
    for base in ("", *BASES):
        for path, body in (("/health", '{"status":"alive"}'), ("/ready", "")):
            reply = httpx.get(edge.rest + base + path)
            assert (reply.status_code, reply.text) == (200, body)
            assert not any(name.startswith(("x-envoy", "x-ratelimit")) for name in reply.headers)
        for path in ("/ready/", "/health/", "/x/ready", "/healthz"):
            assert httpx.get(edge.rest + base + path).status_code == 404
