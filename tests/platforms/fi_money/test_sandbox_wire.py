"""How the Fi sandbox answers on the wire, request by request."""

import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.sandbox.driver import FiSession, Running, running

UNSEEN_SESSION = "mcp-session-0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.fixture
def session(sandbox: Running) -> FiSession:
    return FiSession(sandbox.fi_money)


def initialize(version: str) -> dict[str, object]:
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test"}}
    return {"jsonrpc": "2.0", "id": "a", "method": "initialize", "params": params}


def test_initialize_gives_a_fresh_session_each_time(session: FiSession) -> None:
    reply = session.post(initialize("2025-03-26"))
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["mcp-session-id"] != session.id
    assert reply.json()["id"] == "a"


@pytest.mark.parametrize(
    ("offered", "replied"),
    [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-03-26"),
        ("unknown", "2025-03-26"),
    ],
)
def test_protocol_version(session: FiSession, offered: str, replied: str) -> None:
    reply = session.post(initialize(offered))
    assert reply.json()["result"]["protocolVersion"] == replied


def test_notifications_are_accepted_in_silence(session: FiSession) -> None:
    reply = session.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (reply.status_code, reply.content) == (202, b"")


def test_ping(session: FiSession) -> None:
    assert session.request("ping")["result"] == {}


def test_tools_take_nothing_and_promise_nothing(session: FiSession) -> None:
    tools = session.request("tools/list")["result"]["tools"]
    assert len(tools) == 6
    for tool in tools:
        assert tool["inputSchema"] == {"type": "object", "properties": {}}
        assert "outputSchema" not in tool


@pytest.mark.parametrize(
    "session_id", ["", "nonsense", "mcp-session-", UNSEEN_SESSION.removeprefix("mcp-session-")]
)
def test_malformed_session_ids(session: FiSession, session_id: str) -> None:
    reply = session.post(
        {"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"Mcp-Session-Id": session_id}
    )
    assert (reply.status_code, reply.text.strip()) == (400, "Invalid session ID")
    assert reply.headers["content-type"].startswith("text/plain")


def test_a_session_never_initialised_is_accepted(session: FiSession) -> None:
    reply = session.post(
        {"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"Mcp-Session-Id": UNSEEN_SESSION}
    )
    assert reply.json()["result"] == {}


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "text/plain", ""])
def test_other_content_types(sandbox: Running, session: FiSession, content_type: str) -> None:
    reply = httpx.post(
        f"{sandbox.fi_money}/mcp/stream",
        content=b'{"jsonrpc":"2.0","id":1,"method":"ping"}',
        headers={"Content-Type": content_type, "Mcp-Session-Id": session.id},
    )
    assert reply.status_code == 400
    assert reply.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("body", [b"{", b"", b"\xff", b'[{"jsonrpc":"2.0","id":1}]', b"7"])
def test_unreadable_messages(sandbox: Running, session: FiSession, body: bytes) -> None:
    reply = httpx.post(
        f"{sandbox.fi_money}/mcp/stream",
        content=body,
        headers={"Content-Type": "application/json", "Mcp-Session-Id": session.id},
    )
    assert reply.status_code == 400
    assert reply.json()["id"] is None
    assert reply.json()["error"]["code"] == -32700


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("tools/call", {"name": "fetch_everything"}, -32602),
        ("tools/call", {}, -32602),
        ("tools/dance", {}, -32601),
        ("ping", ["list"], -32600),
    ],
)
def test_rpc_errors(session: FiSession, method: str, params: object, code: int) -> None:
    assert session.request(method, params)["error"]["code"] == code


def test_other_version_of_json_rpc(session: FiSession) -> None:
    reply = session.post({"jsonrpc": "1.0", "id": 1, "method": "ping"})
    assert reply.json()["error"]["code"] == -32600


def test_listening_stream_is_open_and_silent(sandbox: Running, session: FiSession) -> None:
    headers = {"Mcp-Session-Id": session.id}
    with httpx.stream("GET", f"{sandbox.fi_money}/mcp/stream", headers=headers) as reply:
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "text/event-stream"


def test_paths_and_verbs(sandbox: Running, session: FiSession) -> None:
    assert httpx.put(f"{sandbox.fi_money}/mcp/stream").status_code == 404
    moved = httpx.post(f"{sandbox.fi_money}/mcp")
    assert (moved.status_code, moved.headers["location"]) == (301, "/mcp/")
    for path in ("/mcp/", "/mcp/any/where"):
        reply = httpx.post(
            f"{sandbox.fi_money}{path}",
            json={"jsonrpc": "2.0", "id": 1, "method": "ping"},
            headers={"Mcp-Session-Id": session.id},
        )
        assert reply.status_code == 200


def test_login_flow(sandbox: Running, session: FiSession) -> None:
    refusal = session.call("fetch_net_worth")
    assert "isError" not in refusal
    invitation = json.loads(refusal["content"][0]["text"])
    assert invitation["status"] == "login_required"
    url = invitation["login_url"]
    assert url.startswith(f"{sandbox.fi_money}/mockWebPage?")
    assert parse_qs(urlsplit(url).query) == {"sessionId": [session.id]}

    page = httpx.get(url)
    assert page.status_code == 200
    assert f'name="sessionId" value="{session.id}"' in page.text

    assert session.log_in("user123").status_code == 200
    assert "netWorthResponse" in session.document("fetch_net_worth")
    other = FiSession(sandbox.fi_money)
    assert other.document("fetch_net_worth")["status"] == "login_required"


def test_login_survives_delete_and_can_be_rebound(sandbox: Running, session: FiSession) -> None:
    session.log_in("2222222222")
    assert session.document("fetch_bank_transactions")
    ended = httpx.delete(f"{sandbox.fi_money}/mcp/stream", headers={"Mcp-Session-Id": session.id})
    assert ended.status_code == 200
    assert session.document("fetch_bank_transactions")
    session.log_in("1111111111")
    assert session.document("fetch_bank_transactions") == {}


def test_wrong_passcode(session: FiSession) -> None:
    reply = session.log_in("user123", "wrong")
    assert reply.status_code == 403
    assert reply.headers["content-type"].startswith("text/html")
    assert session.document("fetch_net_worth")["status"] == "login_required"


def test_incomplete_logins(sandbox: Running, session: FiSession) -> None:
    assert httpx.get(f"{sandbox.fi_money}/mockWebPage").status_code == 400
    assert session.log_in("").status_code == 400
    assert httpx.post(f"{sandbox.fi_money}/login", data={"phoneNumber": "1"}).status_code == 400
    assert httpx.get(f"{sandbox.fi_money}/login").status_code == 405


def test_a_number_that_is_not_allowed(session: FiSession) -> None:
    assert session.log_in("0000000000").status_code == 200
    result = session.call("fetch_net_worth")
    assert result["isError"] is True
    assert result["content"][0]["text"] == "phone number is not allowed"


def test_replies_as_event_streams_and_logins_that_end() -> None:
    with running("--option", "fi_money.sse=true", "--option", "fi_money.session_ttl=0") as sandbox:
        session = FiSession(sandbox.fi_money)
        session.log_in("user123")
        reply = session.post(
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": "fetch_net_worth"},
            }
        )
    assert reply.headers["content-type"] == "text/event-stream"
    (data,) = [line for line in reply.text.splitlines() if line.startswith("data: ")]
    result = json.loads(data.removeprefix("data: "))["result"]
    assert json.loads(result["content"][0]["text"])["status"] == "login_required"
