"""Tables and objects of the command line, at terminals of several widths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeAlias

import finlink_words
import pytest
from finlink_cli import contract, output, rpcs
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from rich.cells import cell_len

from tests.clients.command_line import Outcome, at_terminal
from tests.clients.scripted import Script

Run: TypeAlias = Callable[..., Outcome]

WIDTHS = (60, 80, 100, 120)
AT = "2026-01-15T10:30:00Z"
ID = "65a1f0c2b3d4e5f601234567"
CAUSE = "Zerodha does not reply: it was asked three times within 30 seconds, at the last with a 503"
RUN = {
    "syncId": "sync_0123456789abcdef01234567", "syncedAt": AT, "status": "partial", "recordsCount": 1240,
    "addedCount": 12, "errorCode": "PLATFORM_UNAVAILABLE", "errorMessage": CAUSE,
    "missing": [{"dataType": "transactions", "code": "PLATFORM_UNAVAILABLE", "message": CAUSE}],
}  # fmt: skip
CONNECTOR = {
    "id": ID, "userId": "sai_iyer", "platform": "fi_money", "connectionStatus": "disconnected",
    "lastSyncAt": AT, "expiresSoon": True, "failing": True,
    "lastRun": {
        "state": "partial", "finishedAt": AT, "errorCode": "PLATFORM_UNAVAILABLE", "missing": ["trades"],
    }, "permissions": list(finlink_words.DATA_TYPES),
}  # fmt: skip
DETAIL = {
    name: CONNECTOR[name] for name in ("id", "userId", "platform", "connectionStatus", "lastRun")
}
EVENT = {
    "id": ID, "at": AT, "action": "sync.failed", "userId": "sai_iyer", "platform": "fi_money",
    "code": "PLATFORM_UNAVAILABLE", "connectorId": ID,
    "actor": {"kind": "system", "key": "key_0123456789abcdef", "address": "2001:db8::1:2:3"},
}  # fmt: skip
USER = {
    "userId": "sai_iyer", "email": "sai.iyer@mail.example.com", "status": "suspended", "createdAt": AT,
    "profile": {"firstName": "Sai Krishnan Venkatesh", "city": "Thiruvananthapuram"},
}  # fmt: skip
RECORD = {
    "dataType": "transactions",
    "transaction": {
        "date": "2026-01-14", "direction": "credit", "amount": {"value": "123456.78", "currency": "INR"},
        "narration": "UPI/CR/560112345678/SALARY JANUARY/some.employer@okbank/HDFC0001234", "mode": "OTHERS",
    },
}  # fmt: skip
COUNTS = {
    "total": 12000, "active": 11000, "disconnected": 800, "error": 150, "expired": 50, "failing": 420,
}  # fmt: skip
SUMMARY = {"totalConnections": 12000, "activeConnections": 11000, "failingConnections": 420}
POINTS = [
    {"at": AT, "platforms": [{"platform": "fi_money", "connected": number, "succeeded": 1}]}
    for number in range(60)
]

# A command with the replies to its calls, and words that it must show whole at every width.
CASES: Mapping[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "users list": (
        {"ListUsers": {"data": {"users": [USER], "pagination": {}}}},
        ("sai_iyer", "sai.iyer@mail.example.com", "suspended"),
    ),
    "connectors list": (
        {"ListConnectors": {"data": {"connectors": [CONNECTOR], "pagination": {}}}},
        ("sai_iyer/fi_money", "disconnected", "last run", "partial"),
    ),
    "connectors list --user sai_iyer": (
        {"ListUserConnectors": {"data": {"connectors": [CONNECTOR]}}},
        ("sai_iyer/fi_money", "disconnected", "last run", "partial"),
    ),
    f"connectors show {ID}": (
        {"GetConnector": {"data": {**DETAIL, "syncHistory": [RUN] * 12}}},
        ("sai_iyer", "fi_money", "disconnected", "partial", "PLATFORM_UNAVAILABLE", "2 more: --json"),
    ),
    f"sync status {ID}": (
        {"GetSyncStatus": {"data": {"syncHistory": [RUN]}}},
        ("partial", "PLATFORM_UNAVAILABLE", "1240"),
    ),
    f"records {ID}": (
        {"ListRecords": {"data": {"records": [RECORD], "pagination": {}}}},
        ("transactions", "credit"),
    ),
    "audit": (
        {"ListAuditEvents": {"data": {"events": [EVENT], "pagination": {}}}},
        ("sync.failed", "sai_iyer/fi_money", "2026-01-15"),
    ),
    "sync failures": (
        {
            "ListAuditEvents": {"data": {"events": [EVENT], "pagination": {}}},
            "GetConnector": {"data": {**DETAIL, "syncHistory": [RUN]}},
        },
        ("sai_iyer/fi_money", "failed", "PLATFORM_UNAVAILABLE"),
    ),
    "status": (
        {
            "GetConnectorStatusSummary": {
                "data": {"summary": SUMMARY, "byPlatform": {"fi_money": COUNTS}}
            }
        },
        ("fi_money", "12000", "failing", "420", "expired"),
    ),
    "trends": (
        {"GetConnectorTrends": {"data": {"stepSeconds": 60, "points": POINTS}}},
        ("fi_money", "connected", "▁", "█", "in all", "late seconds max"),
    ),
}  # fmt: skip


def reply(method: str, content: dict[str, Any]) -> bytes:
    kind = GetMessageClass(rpcs.method_of(contract.find(method)).output_type)
    serialized: bytes = ParseDict(content, kind()).SerializeToString()
    return serialized


@pytest.fixture
def shown(finlink: Run, script: Script, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command of CASES at a width; its output."""
    import_module("google.rpc.status_pb2")

    def show(command: str, width: int, *options: str) -> str:
        monkeypatch.setattr(output, "UNLIMITED", width)
        for method, content in CASES[command][0].items():
            script.replies[method].append(reply(method, content))
        outcome = finlink(*command.split(), *options, "--address", script.address)
        assert (outcome.code, outcome.err) == (0, "")
        return outcome.out

    return show


@pytest.mark.parametrize("command", CASES)
def test_tables_can_be_read_at_any_width(shown: Callable[..., str], command: str) -> None:
    for width in WIDTHS:
        text = shown(command, width)
        assert max(cell_len(line) for line in text.splitlines()) <= width, text
        for word in CASES[command][1]:
            assert word in text, f"{word} at {width}:\n{text}"
        assert "…" not in text


def test_columns_without_space_are_counted_and_wide_shows_them(shown: Callable[..., str]) -> None:
    narrow = shown("connectors list", 80)
    assert narrow.split("\n")[1].startswith("user/platform")
    assert "3 columns hidden: --wide shows error code, permissions, id." in narrow
    assert ID not in narrow
    wide = shown("connectors list", 60, "--wide")
    assert "hidden" not in wide
    assert ID in wide
    assert "permissions" in wide


def test_what_is_too_narrow_for_a_table_has_a_field_a_line(shown: Callable[..., str]) -> None:
    lines = shown("connectors list", 38).splitlines()
    assert lines[0].split() == ["user/platform", "sai_iyer/fi_money"]
    assert ["last", "run", "partial"] in [line.split() for line in lines]
    assert max(map(len, lines)) <= 38


def test_long_values_fold(shown: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    long = "x" * 200
    monkeypatch.setitem(
        CASES[f"connectors show {ID}"][0],
        "GetConnector",
        {"data": {**DETAIL, "sessionId": long}},
    )
    text = shown(f"connectors show {ID}", 60)
    assert text.count("x") >= 200
    assert max(map(len, text.splitlines())) <= 60


def test_a_terminal_s_own_width_is_used(script: Script, bare: Any) -> None:
    method, content = next(iter(CASES["connectors list"][0].items()))
    script.replies[method].append(reply(method, content))
    with at_terminal("connectors", "list", "--address", script.address, columns=60) as terminal:
        assert terminal.ended() == 0
        assert "columns hidden: --wide" in terminal.shown
        assert "sai_iyer/fi_money" in terminal.shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ({"value": "12.345678", "currency": "INR"}, "12.35 INR"),
        ({"value": "1200", "currency": "INR"}, "1200.00 INR"),
        ({"value": "1200.4", "currency": "JPY"}, "1200 JPY"),
        ({"value": "-0.0005", "currency": "KWD"}, "-0.000 KWD"),
        ({"value": "12.345678"}, "12.345678"),
        ({"value": "9" * 40, "currency": "INR"}, "9" * 40 + " INR"),
    ],
)
def test_money_has_the_digits_of_its_currency(amount: Mapping[str, str], shown: str) -> None:
    assert str(output.cell(amount)) == shown


def test_labels_have_the_unit_that_a_name_lacks() -> None:
    assert output.label("syncInterval") == "sync interval (minutes)"
    assert output.label("totalSyncs") == "total syncs"
