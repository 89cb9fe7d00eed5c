"""Calls that wait until told to go on."""

import asyncio
import socket

import httpx

from tests.sandbox.accounts import PLATFORM_KEY, Accounts, accounts_at, call_tool
from tests.sandbox.driver import running

REFRESH = "POST /session/refresh_token"


async def test_many_refreshes_arrive_are_counted_and_go_together(accounts: Accounts) -> None:
    account = accounts.zerodha("HD0001", PLATFORM_KEY)
    hold = {"platform": "zerodha", "login": "hd0001", "call": REFRESH}
    accounts.put("/breakpoints/refreshes", hold)
    form = account.form("refresh_token", account.session["refresh_token"])
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=account.base_url, limits=limits, timeout=60) as client:
        calls = [
            asyncio.create_task(client.post("/session/refresh_token", data=form))
            for _ in range(200)
        ]
        await accounts.until_blocked("refreshes", 200)
        assert not any(call.done() for call in calls)
        assert accounts.control.delete("/breakpoints/refreshes").json() == {"released": 200}
        statuses = [reply.status_code for reply in await asyncio.gather(*calls)]
    assert sorted(statuses) == [200, *[403] * 199]
    report = accounts.calls(login="HD0001", call=REFRESH)
    assert report["counts"] == {REFRESH: 200}
    assert report["statuses"] == {REFRESH: {"200": 1, "403": 199}}
    assert {entry["refusal"] for entry in report["calls"]} == {None, "TokenException"}


async def test_only_what_matches_is_blocked(accounts: Accounts) -> None:
    account, other = accounts.zerodha("HD0002"), accounts.zerodha("HD0003")
    accounts.put("/breakpoints/first", {"platform": "zerodha", "login": "HD0002", "times": 1})
    assert other.get("/trades").status_code == 200
    assert accounts.fi_money("2222222222").document("fetch_net_worth")
    async with httpx.AsyncClient(
        base_url=account.base_url, headers=account.authorization
    ) as client:
        held = asyncio.create_task(client.get("/trades"))
        await accounts.until_blocked("first")
        assert (await client.get("/trades")).status_code == 200
        assert accounts.control.get("/breakpoints").json() == {
            "first": {
                "platform": "zerodha",
                "login": "HD0002",
                "call": accounts.get("/breakpoints/first")["call"],
                "at": "arrival",
                "times": 1,
                "caught": 1,
                "waiting": 1,
            }
        }
        accounts.control.delete("/breakpoints/first")
        assert (await held).status_code == 200


async def test_a_caller_who_leaves_is_not_waited_for(accounts: Accounts) -> None:
    account = accounts.zerodha("HD0004", PLATFORM_KEY)
    accounts.put("/breakpoints/all", {"platform": "zerodha", "call": "*"})
    form = account.form("refresh_token", account.session["refresh_token"])
    async with httpx.AsyncClient(base_url=account.base_url) as client:
        held = asyncio.create_task(client.post("/session/refresh_token", data=form))
        await accounts.until_blocked("all")
        held.cancel()
    accounts.until("/breakpoints/all", lambda hold: hold["waiting"] == 0)
    assert accounts.control.delete("/breakpoints/all").json() == {"released": 0}
    (call,) = accounts.calls(call=REFRESH, login="HD0004")["calls"]
    assert (call["outcome"], call["status"]) == ("left", None)
    assert account.renew().status_code == 200


async def test_blocked_replies_have_had_their_effect(accounts: Accounts) -> None:
    account = accounts.zerodha("HD0005", PLATFORM_KEY)
    hold = {"platform": "zerodha", "call": [REFRESH], "at": "reply", "times": 1}
    accounts.put("/breakpoints/spent", hold)
    form = account.form("refresh_token", account.session["refresh_token"])
    async with httpx.AsyncClient(base_url=account.base_url) as client:
        held = asyncio.create_task(client.post("/session/refresh_token", data=form))
        await accounts.until_blocked("spent")
        assert account.renew().status_code == 403
        accounts.control.delete("/breakpoints/spent")
        assert (await held).status_code == 200


async def test_fi_calls_are_blocked_too(accounts: Accounts) -> None:
    session = accounts.fi_money("2222222222")
    accounts.put(
        "/breakpoints/fi",
        {"platform": "fi_money", "login": "2222222222", "call": "fetch_net_worth"},
    )
    held = asyncio.create_task(asyncio.to_thread(call_tool, session, "fetch_net_worth"))
    await accounts.until_blocked("fi")
    assert session.document("fetch_bank_transactions")
    accounts.control.delete("/breakpoints/fi")
    assert (await held).status_code == 200


def test_a_stop_lets_everything_go() -> None:
    """Held calls are answered, hanging ones are not; the sandbox ends cleanly either way."""
    with running("--control-port", 0) as sandbox, accounts_at(sandbox) as accounts:
        account = accounts.zerodha("HD0006")
        accounts.put("/breakpoints/trades", {"platform": "zerodha", "call": "/trades"})
        accounts.faults("zerodha", "*", {"kind": "hang", "calls": "/orders"})
        accounts.faults("fi_money", "*", {"kind": "slow", "ms": 600_000})
        session = accounts.fi_money("2222222222")
        tool = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch_net_worth"}}'
        key = account.authorization["Authorization"]
        held = request(sandbox.zerodha, f"GET /trades HTTP/1.1\r\nAuthorization: {key}")
        hanging = request(sandbox.zerodha, f"GET /orders HTTP/1.1\r\nAuthorization: {key}")
        slow = request(
            sandbox.fi_money,
            f"POST /mcp/ HTTP/1.1\r\nMcp-Session-Id: {session.id}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(tool)}",
            tool,
        )
        for name in ("/trades", "/orders", "fetch_net_worth"):
            accounts.until(f"/calls?call={name}", lambda calls: len(calls["counts"]) == 1)
        sandbox.process.terminate()
        sandbox.process.wait(10)
        assert [status_line(each) for each in (held, hanging, slow)] == [
            b"HTTP/1.1 200 OK",
            b"",
            b"HTTP/1.1 200 OK",
        ]


def request(base_url: str, head: str, body: str = "") -> socket.socket:
    port = httpx.URL(base_url).port
    assert port is not None
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(f"{head}\r\nHost: 127.0.0.1\r\n\r\n{body}".encode())
    return connection


def status_line(connection: socket.socket) -> bytes:
    with connection, connection.makefile("rb") as reply:
        return reply.readline().strip()
