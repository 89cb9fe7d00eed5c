"""The command line against the contract, its own examples and its settings."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from buf.validate import validate_pb2
from finlink.connectors.v1 import connector_service_pb2 as connectors
from finlink.users.v1 import user_service_pb2 as users
from finlink_cli import output, settings, words
from finlink_cli.app import _tell_of_fault, app
from finlink_cli.failures import ANSWERS, Exit, Failure
from finlink_cli.trends import plot
from finlink_client import errors, policy
from google.protobuf.message import Message
from typer.main import get_command

from tests.clients.command_line import Outcome
from tests.stack import ROOT

Run: TypeAlias = Callable[..., Outcome]

SOURCES = ROOT / "clients" / "python" / "src" / "finlink_cli"


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that lead to it."""
    for name, sub in getattr(command, "commands", {}).items():
        yield from commands(sub, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


COMMANDS = dict(commands(get_command(app)))


@pytest.mark.parametrize(
    ("message", "field", "listed"),
    [
        (connectors.CreateConnectorRequest, "platform", words.Platform),
        (connectors.CreateConnectorRequest, "permissions", words.DataType),
        (connectors.ListRecordsRequest, "data_type", words.DataType),
        (connectors.ListConnectorsRequest, "status", words.ConnectionStatus),
        (users.UpdateUserStatusRequest, "status", words.UserStatus),
        (users.CreateUserRequest, "risk_tolerance", words.RiskTolerance),
        (users.UpdateUserProfileRequest, "update_mask", words.ProfileField),
        (users.UpdateUserPreferencesRequest, "update_mask", words.Preference),
        (users.UpdateUserMetadataRequest, "update_mask", words.MetadataField),
    ],
)
def test_words_are_the_contract_s(
    message: type[Message], field: str, listed: type[StrEnum]
) -> None:
    options = message.DESCRIPTOR.fields_by_name[field].GetOptions()
    rules = options.Extensions[validate_pb2.field]
    of_texts = rules.repeated.items.string if rules.HasField("repeated") else rules.string
    allowed = getattr(rules.field_mask if rules.HasField("field_mask") else of_texts, "in")
    assert [word.replace("-", "_") for word in listed] == list(allowed)


def test_every_call_of_the_contract_has_a_command() -> None:
    source = "".join(path.read_text() for path in SOURCES.glob("*.py"))
    called = set(re.findall(r"\.finlink\.\w+\.([A-Z]\w+)", source))
    streamed = {"WatchConnectors", "ExportUser"}
    contract = {method.name for method in policy.METHODS.values()}
    assert contract - called - streamed == {"BatchGetUsers"}


def test_every_reason_of_the_contract_has_an_exit_code() -> None:
    assert set(ANSWERS) == set(errors.REASONS)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_that_holds(
    finlink: Run, path: tuple[str, ...]
) -> None:
    told = finlink(*path, "--help")
    assert told.code == 0
    example = COMMANDS[path].epilog.removeprefix("Example: ")
    assert example.partition(" | ")[0].split()[:2] == ["finlink", path[0]]
    _, *arguments = shlex.split(example.partition(" | ")[0])
    assert tuple(arguments[: len(path)]) == path
    COMMANDS[path].make_context("it", arguments[len(path) :])


@pytest.mark.parametrize("group", [(), ("sync",)])
def test_without_a_command_help_is_shown(finlink: Run, group: tuple[str, ...]) -> None:
    outcome = finlink(*group)
    assert (outcome.code, outcome.err) == (2, "")
    assert "Commands" in outcome.out


def test_a_fault_is_told_without_a_stack_trace(capsys: pytest.CaptureFixture[str]) -> None:
    _tell_of_fault(KeyError, KeyError("mask"), None)
    assert capsys.readouterr().err.startswith(
        "finlink: this command has a fault: KeyError: 'mask'."
    )


def test_what_could_steer_a_terminal_is_not_shown() -> None:
    assert (
        output.cell("\x1b[2Jgone\x07").plain
        == "\N{REPLACEMENT CHARACTER}[2Jgone\N{REPLACEMENT CHARACTER}"
    )
    assert output.cell("[red]no markup[/]").plain == "[red]no markup[/]"


def test_times_are_those_of_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert output.cell("2026-01-15T10:30:00.123Z").plain == "2026-01-15 16:00:00"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_plots_have_gaps_where_nothing_is_known() -> None:
    assert plot([0, 7, None, 14]) == "▁▅ █"
    assert plot([0, 0]) == "▁▁"
    assert plot([None]) == " "


# Settings


def written(path: Path, text: str, mode: int = 0o600) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def test_flags_come_before_the_environment_and_that_before_the_file(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.load({}) == settings.Settings()
    written(bare, 'address = "file:1"\napi_key = "hush"\ntls = true')
    assert settings.load({}) == settings.Settings("file:1", "hush", tls=True)
    monkeypatch.setenv("FINLINK_ADDRESS", "variable:1")
    monkeypatch.setenv("FINLINK_TLS", "false")
    assert settings.load({"ca": None}) == settings.Settings("variable:1", "hush", tls=False)
    assert settings.load({"address": "flag:1"}).address == "flag:1"
    assert "hush" not in repr(settings.load({}))


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ('api_key = "hush"', 0o640, "others may read. Run: chmod 600"),
        ('adress = "a:1"', 0o600, "there is no setting adress. There are address, api_key"),
        ("address = 5", 0o600, "address must be a text in quotes"),
        ("tls = 1", 0o600, "tls must be true or false"),
        ('api_key = "hush', 0o600, "cannot be read"),
        ('address = "https://finlink.example"', 0o600, "must be HOST:PORT"),
        ('client_cert = "a.pem"', 0o600, "needs its key"),
    ],
)
def test_a_wrong_file_is_told(finlink: Run, bare: Path, text: str, mode: int, said: str) -> None:
    written(bare, text, mode)
    outcome = finlink("status")
    assert outcome.code == 2
    assert said in outcome.err
    assert "hush" not in outcome.err


def test_others_may_read_a_file_without_a_key(bare: Path) -> None:
    written(bare, 'address = "file:1"', 0o644)
    assert settings.load({}).address == "file:1"


def test_a_wrong_variable_is_told(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINLINK_TLS", "perhaps")
    with pytest.raises(Failure, match="FINLINK_TLS must be true or false"):
        settings.load({})


def test_a_missing_certificate_is_told(finlink: Run, tmp_path: Path) -> None:
    outcome = finlink("status", "--ca", str(tmp_path / "none.pem"))
    assert outcome.code == 2
    assert "ca: " in outcome.err
    assert "No such file" in outcome.err


def test_the_documentation_has_every_command_and_exit_code() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    for path in COMMANDS:
        assert f"`finlink {path[0]}`" in text
        assert f"`{path[-1]}`" in text or len(path) == 1, path
    told = re.findall(r"^\| (\d+) \|", text, re.MULTILINE)
    assert [int(code) for code in told] == list(Exit)
