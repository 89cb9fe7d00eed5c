"""Fi's adapter against scripted replies; see test_conformance and test_flows for the sandbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from finlink_words import DataType

from server.platforms.base import (
    CredentialsRefused,
    LoginRequired,
    PlatformDataError,
    PlatformSession,
    PlatformUnavailable,
    SessionEnded,
)
from server.platforms.fi_money.adapter import FiMoney
from server.platforms.records import Period, Profile
from tests.platforms.adapters import fi_money_at
from tests.platforms.fi_money.test_items import LINE
from tests.platforms.scripted import (
    Asked,
    Line,
    Say,
    ScriptedServer,
    impatient,
    read,
    read_contents,
)
from tests.platforms.test_mcp import HELLO, SESSION_ID, response, text

Clock = Callable[[], datetime]
KEY = b"0123456789abcdef"
LOGIN_URL = "https://fi.money/wealth-mcp-login?token=abc"
SESSION = PlatformSession(
    "fi_1",
    "mcp",
    datetime(2026, 2, 3, 4, 30, tzinfo=UTC),
    {"session_id": SESSION_ID, "platform_user_id": "fi_1"},
)


@asynccontextmanager
async def fi_money(
    clock: Clock, *script: Line, hosts: tuple[str, ...] = ("fi.money",)
) -> AsyncIterator[tuple[FiMoney, ScriptedServer]]:
    async with ScriptedServer(*script) as server:
        adapter = fi_money_at(
            f"{server.url}/mcp/stream", clock=clock, hash_key=KEY, retry=impatient(),
            login_hosts=hosts, session_ttl=20 * 60,
        )  # fmt: skip
        yield adapter, server
        await adapter.aclose()


def login_required(url: object = LOGIN_URL) -> Line:
    return text(json.dumps({"status": "login_required", "login_url": url, "message": "Log in."}))


def tools(replies: Mapping[str, str]) -> Callable[[Asked], Say]:
    """A logged-in server: each tool with its text."""

    def say(asked: Asked) -> Say:
        params = asked.message["params"]
        assert isinstance(params, dict)
        content = [{"type": "text", "text": replies.get(params["name"], "{}")}]
        return Say(body=response(asked, result={"content": content}))

    return say


async def test_a_login_left_to_the_user_is_completed_in_the_same_session(clock: Clock) -> None:
    fresh = "https://fi.money/wealth-mcp-login?token=def"
    script = (HELLO, Say(202), login_required(), login_required(fresh), text("{}"))
    async with fi_money(clock, *script) as (adapter, server):
        pending = await adapter.connect({})
        assert pending == LoginRequired(LOGIN_URL, {"session_id": SESSION_ID})
        assert await adapter.complete(pending.secrets, {}) == LoginRequired(
            fresh, {"session_id": SESSION_ID}
        )
        session = await adapter.complete(pending.secrets, {})
    assert isinstance(session, PlatformSession)
    assert (session.account_type, session.expires_at) == ("mcp", clock() + timedelta(minutes=20))
    assert session.platform_user_id.startswith("fi_")
    assert session.secrets == {
        "session_id": SESSION_ID,
        "platform_user_id": session.platform_user_id,
    }
    assert SESSION_ID not in repr(session)
    assert {asked.headers.get("mcp-session-id") for asked in server.asked[1:]} == {SESSION_ID}


async def test_the_user_id_is_a_keyed_hash_of_the_login(clock: Clock) -> None:
    script = (HELLO, Say(202), login_required(), text("{}"), text("{}"), text("{}"))
    async with fi_money(clock, *script) as (adapter, _):
        pending = await adapter.connect({"username": " 9999900000"})
        known = await adapter.complete(pending.secrets, {})
        again = await adapter.complete(pending.secrets, {"username": "9999900000"})
        other = await adapter.complete(pending.secrets, {"username": "9999900001"})
    assert isinstance(known, PlatformSession)
    assert isinstance(other, PlatformSession)
    assert known == again
    assert known.platform_user_id != other.platform_user_id
    assert "9999900000" not in known.platform_user_id


@pytest.mark.parametrize("gone", [Say(404), Say(400, b"Invalid session ID")])
async def test_a_pending_session_that_is_gone_begins_again(clock: Clock, gone: Say) -> None:
    async with fi_money(clock, gone, HELLO, Say(202), login_required()) as (adapter, _):
        held = {"session_id": "mcp-session-old", "platform_user_id": "fi_1"}
        pending = await adapter.complete(held, {})
    assert pending == LoginRequired(
        LOGIN_URL, {"session_id": SESSION_ID, "platform_user_id": "fi_1"}
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://fi.money.example.com/login",
        "https://example.com/?u=https://fi.money/",
        "http://fi.money/login",
        "https://user@fi.money/login",
        "javascript:alert(1)",
        "//fi.money/login",
        "https://fi.money\n/",
        "",
        None,
        5,
    ],
)
async def test_a_login_page_anywhere_else_is_refused(clock: Clock, url: object) -> None:
    async with fi_money(clock, HELLO, Say(202), login_required(url)) as (adapter, _):
        with pytest.raises(PlatformDataError, match="login_url") as caught:
            await adapter.connect({})
    assert "example.com" not in str(caught.value)


async def test_a_login_page_on_this_machine_is_for_sandboxes(clock: Clock) -> None:
    page = "http://localhost:8080/mockWebPage?sessionId=1"
    async with fi_money(clock, HELLO, Say(202), login_required(page)) as (adapter, _):
        pending = await adapter.connect({})
        assert isinstance(pending, LoginRequired)
        assert pending.login_url == page


async def test_a_session_forgotten_at_once_is_a_data_error(clock: Clock) -> None:
    async with fi_money(clock, HELLO, Say(202), Say(404)) as (adapter, _):
        with pytest.raises(PlatformDataError):
            await adapter.connect({})


async def test_a_user_fi_does_not_serve(clock: Clock) -> None:
    refused = text("phone number is not allowed", isError=True)
    async with fi_money(clock, HELLO, Say(202), refused) as (adapter, _):
        with pytest.raises(CredentialsRefused) as caught:
            await adapter.connect({"username": "9999900000"})
        assert caught.value.field == "username"
        with pytest.raises(SessionEnded):
            await adapter.renew(SESSION)


async def test_prose_instead_of_data_is_a_login_and_no_data(clock: Clock) -> None:
    async with fi_money(clock, text("You have connected no accounts.")) as (adapter, _):
        assert await adapter.renew(SESSION) is SESSION
        with pytest.raises(PlatformDataError, match=r"^fetch_bank_transactions: expected a JSON"):
            await read(adapter, SESSION, "transactions")


@pytest.mark.parametrize("data_type", FiMoney.data_types)
async def test_a_session_that_ended(clock: Clock, data_type: DataType) -> None:
    async with fi_money(clock, login_required()) as (adapter, _):
        with pytest.raises(SessionEnded):
            await read(adapter, SESSION, data_type)
        with pytest.raises(SessionEnded):
            await adapter.renew(SESSION)


@pytest.mark.parametrize(
    ("data_type", "asks"),
    [
        ("transactions", ["fetch_bank_transactions"]),
        ("portfolio", ["fetch_net_worth", "fetch_epf_details"]),
        ("trades", ["fetch_stock_transactions", "fetch_mf_transactions"]),
        ("profile", ["fetch_credit_report", "fetch_bank_transactions"]),
    ],
)
async def test_each_data_type_asks_its_own_tools_only(
    clock: Clock, data_type: DataType, asks: list[str]
) -> None:
    """A credit report is fetched for those who ask for the profile, and for nobody else."""
    async with fi_money(clock, tools({})) as (adapter, server):
        items = await read(adapter, SESSION, data_type)
    assert len(items) == (1 if data_type == "profile" else 0)
    params = [asked.message["params"] for asked in server.asked]
    assert params == [{"name": name, "arguments": {}} for name in asks]


async def test_the_profile_carries_the_opaque_user_id(clock: Clock) -> None:
    banks = json.dumps({"bankTransactions": [{"bank": "Test Bank", "txns": [LINE]}]})
    async with fi_money(clock, tools({"fetch_bank_transactions": banks})) as (adapter, _):
        [item] = await read(adapter, SESSION, "profile")
    assert item.record == Profile(
        platform_user_id="fi_1", account_type="mcp", institutions=("Test Bank",)
    )


BANKS = json.dumps({"bankTransactions": [{"bank": "Test Bank", "txns": [LINE]}]})
REPORT = json.dumps({"creditReports": [{"creditReportData": {}}]})
STOCKS = json.dumps({"stockTransactions": [{"isin": "I", "txns": [[1, "2025-11-04", 8, 415.6]]}]})
FUNDS = json.dumps({"mfTransactions": [{"isin": "J", "txns": [[1, "2025-09-10", 48, 2, 96]]}]})
WORTH = {"assetValues": [{"netWorthAttribute": "ASSET_TYPE_EPF", "value": {"units": "5"}}]}
EPF = json.dumps({"uanAccounts": [{"rawDetails": {}}]})
DOCUMENTS = {
    "fetch_bank_transactions": BANKS, "fetch_credit_report": REPORT,
    "fetch_stock_transactions": STOCKS, "fetch_mf_transactions": FUNDS,
    "fetch_net_worth": json.dumps({"netWorthResponse": WORTH}), "fetch_epf_details": EPF,
}  # fmt: skip


@pytest.mark.parametrize(
    ("data_type", "wrong", "count"),
    [
        ("profile", "fetch_credit_report", 1),
        ("profile", "fetch_bank_transactions", 1),
        ("portfolio", "fetch_net_worth", 1),
        ("portfolio", "fetch_epf_details", 1),
        ("trades", "fetch_stock_transactions", 1),
        ("trades", "fetch_mf_transactions", 1),
    ],
)
@pytest.mark.parametrize("document", [json.dumps({"another": []}), "[]", "You have none."])
async def test_a_wrong_document_costs_none_of_the_others(
    clock: Clock, data_type: DataType, wrong: str, count: int, document: str
) -> None:
    async with fi_money(clock, tools({**DOCUMENTS, wrong: document})) as (adapter, _):
        contents = await read_contents(adapter, SESSION, data_type)
    assert len(contents.items) == count
    [fault] = contents.faults
    assert isinstance(fault, PlatformDataError)
    assert str(fault).startswith(wrong)
    assert contents.periods == ()


@pytest.mark.parametrize("data_type", FiMoney.data_types)
async def test_wrong_documents_alone_are_no_data(clock: Clock, data_type: DataType) -> None:
    wrong = dict.fromkeys(DOCUMENTS, json.dumps({"another": []}))
    async with fi_money(clock, tools(wrong)) as (adapter, _):
        with pytest.raises(PlatformDataError, match="expected"):
            await read(adapter, SESSION, data_type)


async def test_a_profile_does_not_need_the_tools_that_add_to_it(clock: Clock) -> None:
    """Not even those that Fi fails to give. Of other data types they are what there is."""

    content = [{"type": "text", "text": "Something went wrong"}]

    def failing(asked: Asked) -> Say:
        return Say(body=response(asked, result={"content": content, "isError": True}))

    working = tools(DOCUMENTS)

    def say(asked: Asked) -> Say:
        params = asked.message["params"]
        assert isinstance(params, dict)
        return failing(asked) if params["name"] == "fetch_credit_report" else working(asked)

    async with fi_money(clock, say) as (adapter, _):
        contents = await read_contents(adapter, SESSION, "profile")
    [item] = contents.items
    assert isinstance(item.record, Profile)
    assert item.record.institutions == ("Test Bank",)
    [fault] = contents.faults
    assert isinstance(fault, PlatformUnavailable)
    async with fi_money(clock, failing) as (adapter, _):
        for data_type in FiMoney.data_types:
            with pytest.raises(PlatformUnavailable):
                await read(adapter, SESSION, data_type)


async def test_a_session_that_ends_on_the_way_leaves_no_part(clock: Clock) -> None:
    ended = json.dumps({"status": "login_required", "login_url": LOGIN_URL})
    late = {**DOCUMENTS, "fetch_epf_details": ended}
    async with fi_money(clock, tools(late)) as (adapter, _):
        with pytest.raises(SessionEnded):
            await read(adapter, SESSION, "portfolio")


async def test_what_whole_documents_are_about(clock: Clock) -> None:
    async with fi_money(clock, tools(DOCUMENTS)) as (adapter, _):
        statement = await read_contents(adapter, SESSION, "transactions")
        trades = await read_contents(adapter, SESSION, "trades")
    assert statement.periods == [
        Period("institution", "Test Bank", datetime(2026, 1, 19, tzinfo=UTC))
    ]
    assert trades.periods == [
        Period("isin", "I", datetime(2025, 11, 4, tzinfo=UTC)),
        Period("isin", "J", datetime(2025, 9, 10, tzinfo=UTC)),
    ]


async def test_calls_of_one_session_wait_for_each_other(clock: Clock) -> None:
    started = asyncio.Event()

    def first(_: Asked) -> Say:
        started.set()
        return Say(body=b"{", hang=True)

    other = PlatformSession("fi_2", "mcp", SESSION.expires_at, {"session_id": "mcp-session-2"})
    async with fi_money(clock, first, tools({})) as (adapter, server):
        hanging = asyncio.create_task(read(adapter, SESSION, "transactions"))
        await started.wait()
        waiting = asyncio.create_task(read(adapter, SESSION, "transactions"))
        assert await read(adapter, other, "transactions") == []
        assert [asked.headers["mcp-session-id"] for asked in server.asked] == [
            SESSION_ID,
            "mcp-session-2",
        ]
        hanging.cancel()
        assert await waiting == []
        with pytest.raises(asyncio.CancelledError):
            await hanging


async def test_disconnect_closes_the_session(clock: Clock) -> None:
    async with fi_money(clock, Say(404)) as (adapter, server):
        await adapter.disconnect(SESSION)
    assert [asked.method for asked in server.asked] == ["DELETE"]
