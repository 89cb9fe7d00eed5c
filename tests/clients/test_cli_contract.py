"""The command line against the contract, its own examples and its settings."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from finlink_cli import contract, output, settings
from finlink_cli.app import _report_fault, program_commands
from finlink_cli.command import BY_HAND
from finlink_cli.failures import BY_REASON, HINTS, Exit, Failure, exit_of
from finlink_cli.trends import plot
from finlink_client import policy
from finlink_client.gen.reasons import REASONS
from google.protobuf.descriptor import Descriptor

from codegen import commands
from tests.clients.command_line import Outcome
from tests.stack import ROOT

Run: TypeAlias = Callable[..., Outcome]

SOURCES = ROOT / "clients" / "python" / "src" / "finlink_cli"


def found(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that lead to it."""
    for name, sub in getattr(command, "commands", {}).items():
        yield from found(sub, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


COMMANDS = dict(found(program_commands()))


def test_every_call_of_the_contract_has_a_command() -> None:
    """By itself, or one that is a function and calls it."""
    generated = {
        rpc["rpc"] for group in contract.groups().values() for rpc in group["commands"].values()
    }
    source = "".join(path.read_text() for path in SOURCES.glob("*.py"))
    for method in policy.METHODS.values():
        if method.full_name in generated:
            continue
        assert contract.by_hand(method.name).rpc == method.full_name
        assert f'"{method.name}"' in source, method.name


def test_hints_are_about_what_there_is() -> None:
    hints = commands.hints(ROOT / "protos")
    assert hints["commands"].keys() <= {method.name for method in policy.METHODS.values()}
    fields = {
        field.json_name
        for method in policy.METHODS.values()
        for message in reached(method.output_type)
        for field in message.fields
    }
    messages = {
        message.full_name
        for method in policy.METHODS.values()
        for message in reached(method.output_type)
    }
    assert hints["columns"].keys() <= messages
    for column in (column for columns in hints["columns"].values() for column in columns):
        assert set(re.split(r"[./]", column)) <= fields, column


def reached(message: Descriptor) -> set[Descriptor]:
    """A message with all that are in it."""
    found = {message}
    for field in message.fields:
        if field.message_type is not None and field.message_type not in found:
            found |= reached(field.message_type)
    return found


def test_reasons_end_with_the_exit_code_of_their_status() -> None:
    assert BY_REASON.keys() | HINTS.keys() <= REASONS.keys()
    assert exit_of("USER_NOT_FOUND", "NOT_FOUND") is Exit.NOT_FOUND
    assert exit_of("REAUTH_REQUIRED", "FAILED_PRECONDITION") is Exit.LOGIN_NEEDED
    assert exit_of("SOMETHING_NEW", "ABORTED") is Exit.CONFLICT
    assert exit_of("ROUTE_NOT_FOUND", "UNIMPLEMENTED") is Exit.FAILED


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_that_works(
    finlink: Run, path: tuple[str, ...]
) -> None:
    shown = finlink(*path, "--help")
    assert shown.code == 0
    example = COMMANDS[path].epilog.splitlines()[0].removeprefix("Example: ")
    assert example.partition(" | ")[0].split()[:2] == ["finlink", path[0]]
    _, *arguments = shlex.split(example.partition(" | ")[0])
    assert tuple(arguments[: len(path)]) == path
    COMMANDS[path].make_context("it", arguments[len(path) :])


@pytest.mark.parametrize("group", [(), ("sync",)])
def test_without_a_command_help_is_shown(finlink: Run, group: tuple[str, ...]) -> None:
    outcome = finlink(*group)
    assert (outcome.code, outcome.err) == (2, "")
    assert "Commands" in outcome.out


def test_a_fault_is_reported_without_a_stack_trace(capsys: pytest.CaptureFixture[str]) -> None:
    _report_fault(KeyError, KeyError("mask"), None)
    assert capsys.readouterr().err.startswith(
        "finlink: this command has a fault: KeyError: 'mask'."
    )


def test_what_could_steer_a_terminal_is_not_shown() -> None:
    assert (
        output.cell("\x1b[2Jgone\x07").plain
        == "\N{REPLACEMENT CHARACTER}[2Jgone\N{REPLACEMENT CHARACTER}"
    )
    for mark in "\u200e\u200f\u061c\u202e\u2066\u2069\x85\x9b\u2028\ufeff":
        assert mark not in output.safe(f"a{mark}b")
    assert output.cell("[red]no markup[/]").plain == "[red]no markup[/]"


@pytest.mark.parametrize("name", ["क्\u200dष", "می\u200cخواهم", "👩\u200d👧", "Anne\u00a0Marie"])
def test_joiners_in_names_are_shown(name: str) -> None:
    assert output.cell(name).plain == name


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


def written(path: Path, text: str | bytes, mode: int = 0o600) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
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
        ('api_key = "hush\u00e9"', 0o600, "characters that are in no key"),
        (b'api_key = "hush\xff"', 0o600, "is not UTF-8"),
    ],
)
def test_a_wrong_file_is_reported(
    finlink: Run, bare: Path, text: str | bytes, mode: int, said: str
) -> None:
    written(bare, text, mode)
    outcome = finlink("status")
    assert outcome.code == 2
    assert said in outcome.err
    assert "hush" not in outcome.err


def test_others_may_read_a_file_without_a_key(bare: Path) -> None:
    written(bare, '\N{ZERO WIDTH NO-BREAK SPACE}address = "file:1"', 0o644)  # with a BOM
    assert settings.load({}).address == "file:1"


def test_a_wrong_variable_is_reported(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINLINK_TLS", "perhaps")
    with pytest.raises(Failure, match="FINLINK_TLS must be true or false"):
        settings.load({})


def test_a_missing_certificate_is_reported(finlink: Run, tmp_path: Path) -> None:
    outcome = finlink("status", "--ca", str(tmp_path / "none.pem"))
    assert outcome.code == 2
    assert "ca: " in outcome.err
    assert "No such file" in outcome.err


def test_the_documentation_has_every_exit_code_and_each_command_with_a_name_of_its_own() -> None:
    """Names that follow from the contract's are in its table of rules."""
    text = (ROOT / "docs" / "cli.md").read_text()
    named = {
        hint["name"]
        for hint in commands.hints(ROOT / "protos")["commands"].values()
        if "name" in hint
    }
    for path in (*map(str.split, named | BY_HAND.keys()),):
        assert f"`finlink {path[0]}`" in text
        assert f"`{path[-1]}`" in text or len(path) == 1, path
    shown = re.findall(r"^\| (\d+) \|", text, re.MULTILINE)
    assert [int(code) for code in shown] == list(Exit)
