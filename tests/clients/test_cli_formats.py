"""Forms of replies for programs, and what a shell completes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest
import yaml
from finlink_cli import formats, parameters

from tests.clients.command_line import PROGRAM, TIMEOUT, Outcome
from tests.clients.scripted import Failure, Script
from tests.clients.test_cli_tables import AT, CONNECTOR, EVENT, ID, RUN, USER, reply

Run: TypeAlias = Callable[..., Outcome]


def page(name: str, *items: Any) -> dict[str, Any]:
    return {"data": {name: [*items], "pagination": {}}}


@pytest.fixture
def at_script(finlink: Run, script: Script, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("FINLINK_ADDRESS", script.address)
    return finlink


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip


def test_yaml_is_the_json(at_script: Run, script: Script) -> None:
    script.replies["ListUsers"].extend([reply("ListUsers", page("users", USER, USER))] * 4)
    as_json = at_script("users", "list", "-o", "json")
    assert as_json.json == at_script("users", "list", "--json").json
    assert yaml.safe_load(at_script("users", "list", "-o", "yaml").out) == as_json.json
    each = at_script("users", "list", "--all", "-o", "yaml").out
    assert list(yaml.safe_load_all(each)) == as_json.json["users"]


@pytest.mark.parametrize(
    "value",
    [
        {"a": "yes", "b": "12", "c": "", "d": "x: y", "e": "- z", "f": "a\nb", "g": "é ₹", "on": "null"},
        {"a": [], "b": {}, "c": [[1, 2], ["x"]], "d": [{"e": {"f": 1.5}}, {"g": True, "h": None}]},
        {"a": AT, "b": "2026-01-14", "c": "1e5", "d": "0x1F", "e": "a #b", "f": "a b  c ", "g": "~"},
    ],
)  # fmt: skip
def test_texts_stay_texts_in_yaml(
    value: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    formats.Writer("yaml", None).put(value)
    assert yaml.safe_load(capsys.readouterr().out) == value


@pytest.mark.parametrize(
    ("command", "method", "content", "names"),
    [
        ("users list", "ListUsers", page("users", USER, USER), ["sai_iyer", "sai_iyer"]),
        ("users list --all", "ListUsers", page("users", USER), ["sai_iyer"]),
        ("users show a", "GetUser", {"data": USER}, ["sai_iyer"]),
        ("connectors list", "ListConnectors", page("connectors", CONNECTOR), ["sai_iyer/fi_money"]),
        ("audit", "ListAuditEvents", page("events", EVENT), [ID]),
        (f"sync status {ID}", "GetSyncStatus", {"data": {"syncHistory": [RUN]}}, [RUN["syncId"]]),
        ("users list --city x", "ListUsers", page("users"), []),
    ],
)
def test_names_alone(
    at_script: Run, script: Script, command: str, method: str, content: Any, names: list[str]
) -> None:
    script.replies[method].append(reply(method, content))
    outcome = at_script(*command.split(), "-o", "name")
    assert (outcome.code, outcome.out.splitlines()) == (0, names)


def test_a_filter_of_jq(script: Script, bare: Path) -> None:
    where = {"FINLINK_ADDRESS": script.address}
    script.replies["ListUsers"].extend([reply("ListUsers", page("users", USER))] * 3)
    done = program("users", "list", "--jq", ".users[].email", **where)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{USER['email']}\n", "")
    wrong = program("users", "list", "--jq", ".users[", **where)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "jq ended with 3" in wrong.stderr
    script.replies["ListUsers"].append(reply("ListUsers", page("users", USER)))
    broken = program("users", "list", "--jq", ".users[0].email.name", **where)
    assert (broken.returncode, broken.stdout) == (1, "")
    missing = program("users", "list", "--jq", ".", PATH="", **where)
    assert missing.returncode == 2
    assert json.loads(missing.stderr)["error"]["message"].startswith("--jq needs the program jq")


def test_a_watch_of_one_connector(at_script: Run, script: Script) -> None:
    script.replies["GetConnector"].append(reply("GetConnector", {"data": {"userId": "sai_iyer"}}))
    other = "0" * 24
    events: list[dict[str, Any]] = [{"type": "ready", "occurredAt": AT}]
    events += [
        {"type": "connector", "occurredAt": AT, "connector": {"id": each, "userId": "sai_iyer"}}
        for each in (other, ID, other)
    ]
    script.streams["WatchConnectors"].append([reply("WatchConnectors", each) for each in events])
    script.streams["WatchConnectors"].append([Failure(grpc.StatusCode.PERMISSION_DENIED)])
    outcome = at_script("watch", "--connector", ID, "--json")
    assert [each.get("connector", {}).get("id") for each in outcome.lines] == [None, ID]
    request = next(each for each in script.received if each.method == "WatchConnectors").request
    assert b"sai_iyer" in request


def test_users_and_connectors_are_completed(
    at_script: Run, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = page("users", USER, {**USER, "userId": "ravi"})
    script.replies["ListUsers"].append(reply("ListUsers", users))
    assert parameters.complete_user("ra") == ["ravi"]
    script.replies["ListConnectors"].append(reply("ListConnectors", page("connectors", CONNECTOR)))
    assert parameters.complete_connector("sai") == ["sai_iyer/fi_money"]
    mine = {"data": {"connectors": [CONNECTOR, {**CONNECTOR, "platform": "zerodha"}]}}
    script.replies["ListUserConnectors"].append(reply("ListUserConnectors", mine))
    assert parameters.complete_connector("sai_iyer/z") == ["sai_iyer/zerodha"]
    monkeypatch.setenv("FINLINK_ADDRESS", "nowhere")
    assert parameters.complete_user("ra") == []


def test_a_shell_completes_a_user(script: Script, bare: Path) -> None:
    script.replies["ListUsers"].append(reply("ListUsers", page("users", USER)))
    line = {
        "COMP_WORDS": "finlink users show sai",
        "COMP_CWORD": "3",
        "COMP_LINE": "",
    }
    done = program(_FINLINK_COMPLETE="complete_bash", FINLINK_ADDRESS=script.address, **line)
    assert done.stdout.split() == ["sai_iyer"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_completion(finlink: Run, shell: str) -> None:
    outcome = finlink("completion", shell)
    assert (outcome.code, outcome.err) == (0, "")
    assert "_FINLINK_COMPLETE=complete_" + shell in outcome.out
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=outcome.out, text=True, check=True)


def test_the_help_of_a_command_names_the_options_of_all_in_one_line(finlink: Run) -> None:
    shown = " ".join(finlink("users", "show", "--help").out.split())
    assert "All commands take -o, --json, --jq, --wide, --address" in shown
    assert "--client-cert" not in shown
