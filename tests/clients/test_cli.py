"""The command line against a running Finlink: what each command does, and what its exit code says."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import httpx
import pytest

from tests.clients.command_line import Outcome
from tests.clients.scripted import Failure, Script
from tests.e2e.connector_steps import BROKEN_NET_WORTH
from tests.stack import Stack

Run: TypeAlias = Callable[..., Outcome]

LOGIN = json.dumps({"username": "9876543210", "password": "correct horse"})


def done(outcome: Outcome) -> Outcome:
    assert (outcome.code, outcome.err) == (0, "")
    return outcome


def get(stack: Stack, path: str) -> Any:
    """What REST answers under `data`."""
    reply = httpx.get(f"{stack.rest}/api/v1{path}", timeout=30)
    assert reply.status_code == 200
    return reply.json()["data"]


@pytest.fixture
def user(at_stack: Run, new_id: str) -> str:
    done(at_stack("users", "create", new_id, f"{new_id}@example.com", "--city", new_id))
    return new_id


@pytest.fixture
def connected(at_stack: Run, user: str) -> str:
    """USER/PLATFORM of a connector whose first sync has ended."""
    arguments = ("connectors", "connect", user, "fi_money", "--permission", "profile")
    reported = done(at_stack(*arguments, "--credentials-stdin", "--wait", stdin=LOGIN)).out
    assert reported.startswith("Connected successfully.")
    return f"{user}/fi_money"


def test_a_user_s_life(at_stack: Run, stack: Stack, new_id: str) -> None:
    created = at_stack(
        "users", "create", new_id, f"{new_id}@example.com", "--income", "1200.5", "--json"
    )
    assert done(created).json == get(stack, f"/users/{new_id}")

    changes = [
        ("profile", "--first-name", "Asha", "--remove", "income"),
        ("preferences", "--currency", "EUR", "--sms"),
        ("metadata", "--source", "web", "--tag", "a", "--tag", "b"),
        ("status", "suspended"),
        ("email-verified",),
    ]
    for command, *options in changes:
        done(at_stack("users", command, new_id, *options))
    user = done(at_stack("users", "show", new_id, "--json")).json
    assert user == get(stack, f"/users/{new_id}")
    assert user["profile"] == {"firstName": "Asha"}
    assert user["preferences"]["currency"] == "EUR"
    assert user["preferences"]["notifications"]["sms"] is True
    assert user["metadata"] == {"source": "web", "tags": ["a", "b"]}
    assert (user["status"], user["emailVerified"]) == ("suspended", True)

    done(at_stack("users", "preferences", new_id, "--reset", "currency"))
    shown = done(at_stack("users", "show", new_id)).out
    assert "first name     Asha" in shown
    assert "  currency       INR" in shown
    assert "email verified   yes" in shown

    deleted = done(at_stack("users", "delete", new_id, "--yes", "--json"))
    assert deleted.json == {"message": "User deleted successfully"}
    assert at_stack("users", "show", new_id).code == 3


def test_a_list_is_one_object_and_all_of_it_lines(at_stack: Run, new_id: str) -> None:
    ids = [f"{new_id}_{number}" for number in range(3)]
    for each in ids:
        done(at_stack("users", "create", each, f"{each}@example.com", "--city", new_id))
    filtered = ("users", "list", "--city", new_id, "--limit", "2")
    first = done(at_stack(*filtered, "--json")).json
    assert [user["userId"] for user in first["users"]] == ids[:0:-1]
    token = first["pagination"]["nextPageToken"]
    second = done(at_stack("--json", *filtered, "--page-token", token)).json
    assert [user["userId"] for user in second["users"]] == ids[:1]
    everything = done(at_stack(*filtered, "--all", "--json")).lines
    assert everything == first["users"] + second["users"]

    shown = done(at_stack(*filtered)).out
    assert shown.splitlines()[0].split() == [
        "user", "id", "email", "status", "city", "created", "at",
    ]  # fmt: skip
    assert "3 in all." in shown
    assert f"\n--page-token {token}\n" in shown
    whole = done(at_stack(*filtered, "--all")).out
    assert all(each in whole for each in ids)
    assert done(at_stack("users", "list", "--city", f"{new_id}x")).out.startswith("No users.")


def test_a_connector_s_life(at_stack: Run, stack: Stack, connected: str) -> None:
    user = connected.partition("/")[0]
    connector = done(at_stack("connectors", "show", connected, "--json")).json
    by_id = done(at_stack("connectors", "show", connector["id"], "--json")).json
    assert by_id == connector == get(stack, f"/connectors/{connector['id']}")
    [listed] = done(at_stack("connectors", "list", "--user", user, "--json")).json["connectors"]
    assert listed["id"] == connector["id"]
    newest = done(at_stack("connectors", "list", "--status", "connected", "--limit", "1", "--json"))
    assert newest.json["connectors"][0]["id"] == connector["id"]
    assert "sync history" in done(at_stack("connectors", "show", connected)).out

    refreshed = done(at_stack("connectors", "refresh", connected, "--json")).json
    assert refreshed["sessionId"] != connector["sessionId"]
    settings = ("sync", "settings", connected, "--interval", "30", "--no-auto", "--json")
    assert done(at_stack(*settings)).json == {
        "syncInterval": 30, "autoSync": False, "dataTypes": ["profile"],
    }  # fmt: skip
    ended = done(at_stack("connectors", "disconnect", connected, "--delete-records", "--yes"))
    assert ended.out.startswith("Disconnected successfully.")
    assert at_stack("sync", "start", connected).code == 6


def test_connecting_may_wait_for_the_first_sync(at_stack: Run, user: str) -> None:
    connect = ("connectors", "connect", user, "zerodha", "--credentials-stdin", "--wait", "--json")
    connector = done(at_stack(*connect, stdin=LOGIN)).json
    [run] = connector["syncHistory"]
    assert (run["status"], run["recordsCount"] > 0) == ("success", True)


def test_a_sync_and_what_it_brought(at_stack: Run, stack: Stack, connected: str) -> None:
    run = done(at_stack("sync", "start", connected, "--wait", "--json")).json
    assert (run["state"], run["counts"][0]["dataType"]) == ("success", "profile")
    shown = ("sync", "show", connected, run["syncId"], "--json")
    assert done(at_stack(*shown)).json == run
    status = done(at_stack("sync", "status", connected, "--json")).json
    assert status["syncHistory"][0]["syncId"] == run["syncId"]
    skipped = done(at_stack("sync", "start", connected, "--no-force", "--wait", "--json")).json
    assert (skipped["status"], skipped["reason"]) == ("skipped", "recent_success")
    cancelled = done(at_stack("sync", "cancel", connected, run["syncId"]))
    assert cancelled.out.startswith("Sync already finished.")

    records = done(at_stack("records", connected, "--data-type", "profile", "--json")).json
    connector_id = done(at_stack("connectors", "show", connected, "--json")).json["id"]
    assert records == get(stack, f"/connectors/{connector_id}/records")
    assert done(at_stack("records", connected, "--all", "--json")).lines == records["records"]
    assert "profile" in done(at_stack("records", connected)).out


def test_why_a_sync_fails(at_stack: Run, user: str) -> None:
    login = json.dumps({"username": BROKEN_NET_WORTH, "password": "any"})
    connect = ("connectors", "connect", user, "fi_money", "--permission", "portfolio")
    waited = at_stack(*connect, "--credentials-stdin", "--wait", "--json", stdin=login)
    assert (waited.code, waited.error["code"]) == (1, "PLATFORM_DATA_ERROR")
    assert waited.json["syncHistory"][0]["status"] == "failed"
    failed = at_stack("sync", "start", f"{user}/fi_money", "--wait", "--json")
    assert (failed.code, failed.json["state"]) == (1, "failed")
    assert failed.error["code"] == "PLATFORM_DATA_ERROR"
    assert failed.json["error"]["message"] in failed.error["message"]

    newest = done(at_stack("sync", "failures", "--json")).json["failures"][0]
    assert (newest["userId"], newest["code"]) == (user, "PLATFORM_DATA_ERROR")
    assert (newest["status"], newest["missing"]) == ("failed", [])
    assert newest["message"] == failed.json["error"]["message"]
    shown = done(at_stack("sync", "failures", "--user", user, "--platform", "fi_money")).out
    assert newest["message"] in shown
    assert f"PLATFORM_DATA_ERROR: {newest['next']}" in shown
    nowhere = at_stack("sync", "failures", "--user", user, "--platform", "zerodha")
    assert done(nowhere).out == "No failures.\n"
    done(at_stack("users", "delete", user, "--yes"))
    gone = done(at_stack("sync", "failures", "--user", user, "--json")).json["failures"][0]
    assert gone["message"] == "(its user was deleted)"


def test_why_a_sync_brings_a_part_only(at_stack: Run, user: str) -> None:
    login = json.dumps({"username": BROKEN_NET_WORTH, "password": "any"})
    granted = ("--permission", "transactions", "--permission", "portfolio")
    done(
        at_stack(
            "connectors", "connect", user, "fi_money", *granted, "--credentials-stdin", stdin=login
        )
    )
    partial = at_stack("sync", "start", f"{user}/fi_money", "--wait", "--json")
    assert (partial.code, partial.json["state"]) == (1, "partial")
    [missing] = partial.json["missing"]
    assert (missing["dataType"], missing["code"]) == ("portfolio", "PLATFORM_DATA_ERROR")

    row = done(at_stack("sync", "failures", "--user", user, "--json")).json["failures"][0]
    assert (row["status"], row["missing"]) == ("partial", ["portfolio"])
    assert (row["code"], row["message"]) == (missing["code"], missing["message"])
    shown = done(at_stack("sync", "failures", "--user", user)).out
    assert "partial  PLATFORM_DATA_ERROR" in shown
    listed = done(at_stack("connectors", "list", "--user", user)).out
    assert re.search(r"connected +partial .* PLATFORM_DATA_ERROR +portfolio", listed)
    failing = done(at_stack("connectors", "list", "--failing", "--json")).json["connectors"]
    assert user in {each["userId"] for each in failing}
    one = done(at_stack("connectors", "show", f"{user}/fi_money")).out
    assert re.search(r"connected +\nfailing +yes +\nlast run +\n +state +partial", one)
    assert f"PLATFORM_DATA_ERROR: {row['next']}" in shown
    run = done(at_stack("sync", "show", f"{user}/fi_money", partial.json["syncId"])).out
    assert "portfolio  PLATFORM_DATA_ERROR" in run


def test_counts(at_stack: Run, stack: Stack, connected: str) -> None:
    assert done(at_stack("status", "--json")).json == get(stack, "/connectors/status")
    filtered = ("--platform", "zerodha", "--status", "connected")
    summary = done(at_stack("status", *filtered, "--json")).json
    assert summary["byPlatform"]["fi_money"]["total"] == 0
    assert done(at_stack("status")).out.startswith("platform  total  active")


def test_health(at_stack: Run, stack: Stack) -> None:
    code = at_stack("health", "--json").code
    assert code in {0, 7}, "others may let a check fail"
    shown = at_stack("health")
    assert {line.split()[0] for line in shown.out.splitlines()[1:] if line} >= {"mongodb", "jobs"}


def test_trends(at_stack: Run, stack: Stack, connected: str) -> None:
    data = done(at_stack("trends", "--minutes", "5", "--json")).json
    assert set(data) == set(get(stack, "/connectors/trends"))
    assert data["stepSeconds"] == 60
    shown = done(at_stack("trends", "--minutes", "5")).out
    assert "fi_money  connected" in shown
    assert " 60 seconds a bar." in shown
    assert " 120 seconds a bar." in done(at_stack("trends")).out
    assert at_stack("trends", "--minutes", "1").code == 2


def test_what_was_done(at_stack: Run, connected: str) -> None:
    of_it = ("audit", "--connector", connected, "--action", "connector.connected")
    [event] = done(at_stack(*of_it, "--json")).json["events"]
    assert event["userId"] == connected.partition("/")[0]
    assert "connector.connected" in done(at_stack(*of_it, "--from-date", "2020-01-01")).out
    [again] = done(at_stack(*of_it, "--all", "--json")).lines
    assert again["id"] == event["id"]  # it may have been sealed meanwhile


def test_an_export_into_a_file(at_stack: Run, user: str, tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    reported = done(at_stack("users", "export", user, "--output", str(file), "--json")).json
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines[0]["user"]["userId"] == user
    assert {"file": str(file), **lines[-1]["completed"]} == reported
    assert file.stat().st_mode & 0o777 == 0o600
    streamed = done(at_stack("users", "export", user)).lines
    assert streamed[0] == lines[0]

    again = at_stack("users", "export", user, "--output", str(file))
    assert (again.code, "File exists" in again.err) == (2, True)
    none = tmp_path / "none.jsonl"
    assert at_stack("users", "export", "nobody", "--output", str(none)).code == 3
    assert not none.exists()


def test_a_login_on_the_platform_s_page_needs_a_person(at_stack: Run, user: str) -> None:
    connect = ("connectors", "connect", user, "zerodha", "--credentials-stdin", "--json")
    outcome = at_stack(*connect, stdin="{}")
    assert (outcome.code, outcome.error["code"]) == (6, "REAUTH_REQUIRED")
    assert outcome.json["loginUrl"] in outcome.error["message"]
    again = at_stack("connectors", "refresh", f"{user}/zerodha")
    assert again.code == 6
    assert outcome.json["loginUrl"] in again.err


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        ("", "must be one JSON object"),
        ("[1]", "must be one JSON object"),
        ('{"passcode": "hush"}', "there is no passcode"),
        ('{"password": 12345678}', "credentials.password must be a string"),
        ('{"password": "\\ud800"}', "credentials.password must be a string"),
        ('\N{ZERO WIDTH NO-BREAK SPACE}{"passcode": "hush"}', "there is no passcode"),  # a BOM
        (b'{"password": "\xff"}', "must be one JSON object"),
        ("[" * 100_000, "must be one JSON object"),
    ],
)
def test_wrong_credentials_on_the_input(finlink: Run, stdin: str | bytes, said: str) -> None:
    outcome = finlink("connectors", "connect", "a", "zerodha", "--credentials-stdin", stdin=stdin)
    assert outcome.code == 2
    assert said in outcome.err
    assert "hush" not in outcome.err
    assert "1234" not in outcome.err


@pytest.mark.parametrize(
    ("arguments", "code", "reason", "said"),
    [
        (("users", "show", "nobody"), 3, "USER_NOT_FOUND", "User not found"),
        (("connectors", "show", "0" * 24), 3, "CONNECTOR_NOT_FOUND", "Connector not found"),
        (("connectors", "show", "nobody/zerodha"), 3, "CONNECTION_NOT_FOUND", "No connection"),
        (("users", "create", "x y", "nomail"), 2, "VALIDATION_ERROR", "\n  email: must be a"),
        (("users", "list", "--limit", "0"), 2, "VALIDATION_ERROR", "\n  --limit: must be"),
        (
            ("sync", "settings", "0" * 24, "--interval", "0"),
            2,
            "VALIDATION_ERROR",
            "\n  --interval: must",
        ),
        (("users", "list", "--status", "gone"), 2, "USAGE", "'active', 'inactive', 'suspended'"),
        (("users", "lost"), 2, "USAGE", "No such command 'lost'"),
        (("users", "show"), 2, "USAGE", "Missing argument 'user'"),
        (("users", "delete", "nobody"), 2, "USAGE", "Say --yes"),
        (("connectors", "list", "--user", "a", "--all"), 2, "USAGE", "goes with no other filter"),
        (("connectors", "connect", "a", "zerodha"), 2, "USAGE", "--credentials-stdin"),
        (("sync", "settings", "0" * 24), 2, "VALIDATION_ERROR", "Nothing to update"),
        (("--api-key", "-", "status"), 2, "USAGE", "needs a terminal"),
        (("connectors", "show", "ravi"), 2, "USAGE", "'finlink connectors list --user ravi' shows"),
        (("connectors", "show", ""), 2, "USAGE", "'finlink connectors list' shows"),
        (("connectors", "show", "/zerodha"), 2, "USAGE", "names no connector"),
        (("sync", "start", "ravi"), 2, "USAGE", "it is USER/PLATFORM, or an id"),
        (("connectors", "list", "--user", "x y"), 2, "VALIDATION_ERROR", "\n  --user: must"),
        (("sync", "failures", "--from-date", "soon"), 2, "VALIDATION_ERROR", "\n  --from-date: "),
        (("users", "metadata", "a", "--tag", "x" * 500), 2, "VALIDATION_ERROR", "\n  --tag: must"),
    ],
)
def test_errors_are_reported(
    at_stack: Run, arguments: tuple[str, ...], code: int, reason: str, said: str
) -> None:
    outcome = at_stack(*arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert outcome.err.startswith("finlink: ")
    assert said in outcome.err
    as_json = at_stack(*arguments, "--json")
    assert (as_json.code, as_json.out) == (code, "")
    assert as_json.error["code"] == reason
    assert set(as_json.error) == {"code", "message", "details", "hint"}


def test_what_does_not_fit_how_things_stand(at_stack: Run, connected: str) -> None:
    user = connected.partition("/")[0]
    assert at_stack("users", "create", user, "other@example.com").code == 4
    connect = ("connectors", "connect", user, "fi_money", "--credentials-stdin")
    assert at_stack(*connect, stdin=LOGIN).code == 4
    wrong = json.dumps({"username": "9876543210", "password": "wrong"})
    done(at_stack("connectors", "disconnect", connected, "--yes"))
    refused = at_stack(*connect, stdin=wrong)
    assert refused.code == 6
    assert "credentials.password" in refused.err


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, 5),
        (grpc.StatusCode.PERMISSION_DENIED, 5),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 7),
        (grpc.StatusCode.INTERNAL, 1),
        (grpc.StatusCode.DATA_LOSS, 1),
    ],
)
def test_failures_of_the_server(
    finlink: Run, script: Script, status: grpc.StatusCode, code: int
) -> None:
    script.replies["GetUser"].append(Failure(status, "as the server puts it\x1b[2J"))
    outcome = finlink("--address", script.address, "--api-key", "sesame", "users", "show", "asha")
    assert outcome.code == code
    assert "as the server puts it" in outcome.err
    assert "\x1b" not in outcome.err
    assert script.received[0].metadata["x-api-key"] == "sesame"
    assert "sesame" not in outcome.err


def test_nobody_at_the_address(finlink: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        outcome = finlink("users", "show", "asha", "--address", address)
    assert outcome.code == 7
    assert outcome.err == (
        f"finlink: nothing listens at {address}. "
        "Start Finlink with 'make run', or name another with --address.\n"
    )


def test_a_port_that_is_not_grpc_s_or_has_no_tls(finlink: Run, stack: Stack) -> None:
    outcome = finlink("status", "--address", stack.grpc, "--tls")
    assert outcome.code == 7
    assert f"{stack.grpc} does not speak TLS. Use --plain" in outcome.err
    rest = stack.rest.removeprefix("http://")
    for command in (("status",), ("watch",), ("users", "export", "asha")):
        outcome = finlink(*command, "--address", rest)
        assert outcome.code == 7
        assert f"{rest} does not speak gRPC; it may be the port of REST." in outcome.err


def test_hints_name_the_user_and_the_platform(at_stack: Run, connected: str) -> None:
    user = connected.partition("/")[0]
    connector_id = done(at_stack("connectors", "show", connected, "--json")).json["id"]
    done(at_stack("connectors", "disconnect", connected, "--yes"))
    for named in (connected, connector_id):
        outcome = at_stack("sync", "start", named)
        assert outcome.code == 6
        assert f"'finlink connectors connect {user} fi_money'" in outcome.err
    outcome = at_stack("sync", "show", connected, f"sync_{'0' * 24}")
    assert f"'finlink sync status {connected}'" in outcome.err
    other = at_stack("connectors", "show", f"{user}/zerodha")
    assert f"'finlink connectors connect {user} zerodha'" in other.err


def test_a_platform_of_the_sandbox_is_made_to_fail(
    at_stack: Run, stack: Stack, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "FINLINK_SANDBOX_CONTROL", f"127.0.0.1:{stack.ports['SANDBOX_CONTROL_PORT']}"
    )
    login = user[-8:].upper()
    credentials = json.dumps({"username": login, "password": "any"})
    arguments = ("connectors", "connect", user, "zerodha", "--credentials-stdin", "--wait")
    done(at_stack(*arguments, stdin=credentials))
    connector = f"{user}/zerodha"

    made = done(at_stack("sandbox", "fail", connector, "--with", "unavailable")).out
    assert made.startswith(f"zerodha fails for the login {login}: unavailable.")
    assert f"finlink sandbox restore {connector}" in made
    failed = at_stack("sync", "start", connector, "--wait", "--json")
    assert (failed.code, failed.error["code"]) == (1, "PLATFORM_UNAVAILABLE")
    (fault,) = done(at_stack("sandbox", "show", connector, "--json")).json["faults"]
    assert fault["kind"] == "unavailable"
    assert fault["applied"] > 0
    assert "unavailable" in done(at_stack("sandbox", "show", connector)).out

    done(at_stack("sandbox", "restore", connector))
    assert done(at_stack("sandbox", "show", connector)).out == "No faults.\n"
    done(at_stack("sync", "start", connector, "--wait"))


def test_a_failure_that_the_sandbox_does_not_know_is_refused(
    at_stack: Run, stack: Stack, connected: str
) -> None:
    control = f"127.0.0.1:{stack.ports['SANDBOX_CONTROL_PORT']}"
    fail = (
        "sandbox",
        "fail",
        connected,
        "--with",
        "partial",
        "--login",
        "555",
        "--control",
        control,
    )
    refused = at_stack(*fail, "--call", "fetch_nothing")
    assert refused.code == 2
    assert refused.err.startswith("finlink: --call: ")
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    unreached = at_stack(*fail[:-1], f"127.0.0.1:{port}")
    assert unreached.code == 7
    assert "SANDBOX_CONTROL_PORT" in unreached.err
