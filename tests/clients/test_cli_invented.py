"""An RPC gets its command from its `.proto` alone: here those of a service that Finlink does not have."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from finlink_cli import contract
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import descriptor_pb2
from google.protobuf.json_format import MessageToDict, ParseDict

from codegen import commands, stubs
from tests.clients.command_line import Outcome
from tests.clients.scripted import Script

Run: TypeAlias = Callable[..., Outcome]

PROTO = Path(__file__).parent / "invented.proto"
NAME = "invented/wallets/v1/wallet_service.proto"
MODULE = "invented.wallets.v1.wallet_service_pb2"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `make protos` makes of it; its module can be imported."""
    folder = tmp_path_factory.mktemp("invented")
    source = folder / NAME
    source.parent.mkdir(parents=True)
    source.write_bytes(PROTO.read_bytes())
    validate, described = folder / "validate.binpb", folder / "described.binpb"
    validate.write_bytes(stubs.validate_descriptors().SerializeToString())
    stubs.run_protoc(
        f"--descriptor_set_in={validate}",
        f"--python_out={folder}",
        "--include_imports",
        "--include_source_info",
        f"--descriptor_set_out={described}",
        NAME,
        folders=(folder, *stubs.FOLDERS),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        import_module(MODULE)
    files = descriptor_pb2.FileDescriptorSet.FromString(described.read_bytes())
    return commands.build(files, {"samples": {}, "columns": {}, "commands": {}})


@pytest.fixture
def wallets(
    made: dict[str, Any], script: Script, finlink: Run, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """`finlink wallets …`, at a server that is scripted."""
    monkeypatch.setattr(contract, "_resource", lambda: made)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FINLINK_ADDRESS", script.address)
    contract.find.cache_clear()
    yield lambda *arguments, **more: finlink("wallets", *arguments, **more)
    contract.find.cache_clear()


def message(name: str, content: dict[str, Any]) -> bytes:
    made = ParseDict(content, getattr(import_module(MODULE), name)())
    serialized: bytes = made.SerializeToString()
    return serialized


def received(script: Script, name: str) -> Any:
    """The last request, as JSON has it."""
    request = getattr(import_module(MODULE), name).FromString(script.received[-1].request)
    return MessageToDict(request)


LIMIT = ("--limit", "1", "--currency", "INR")
WALLET = {
    "walletId": "w1",
    "name": "Holiday",
    "limit": {"value": "12.50", "currency": "INR"},
    "rules": [{"word": "beach", "percent": 20}],
    "openedAt": "2026-01-02T03:04:05Z",
}


def test_every_rpc_has_a_command_with_help(wallets: Run) -> None:
    shown = wallets("--help").out
    assert "Wallets: where small change is kept [until it is spent]." in shown
    for name, sentence in {
        "create": "Creates a wallet.",
        "show": "Returns a wallet with its rules.",
        "list": "Lists wallets, newest first.",
        "update": "Changes what is sent.",
        "delete": "Deletes a wallet.",
        "coins": "Lists what is left over, with no pages.",
        "lock": "Locks a wallet with a secret.",
        "upload-picture": "Keeps a picture.",
        "statement": "Gives a statement, in pieces.",
        "watch": "Tells what happens.",
    }.items():
        assert any(line.split() == [name, *sentence.split()] for line in shown.splitlines()), name
        of_it = wallets(name, "--help")
        assert of_it.code == 0
        assert f"Example: finlink wallets {name}" in of_it.out
        assert max(map(len, of_it.out.splitlines())) <= 80


def test_help_says_what_fields_are(wallets: Run) -> None:
    shown = " ".join(wallets("create", "--help").out.split())
    assert "name <str> Needed. What it is called." in shown
    assert "kind <cash|gift_card> Needed. What it is for." in shown
    assert "--limit <str> Needed. A decimal number: `12.50`." in shown
    assert "--home-address.city <str>" in shown
    assert "--shared / --no-shared" in shown
    assert "--colour <red|deep_blue>" in shown
    assert "A field named in `--remove`" in " ".join(wallets("update", "--help").out.split())
    assert "Walk by `--page-token`." in wallets("list", "--help").out


def test_create(wallets: Run, script: Script) -> None:
    script.replies["CreateWallet"].append(
        message("WalletResponse", {"message": "Wallet created", "data": WALLET})
    )
    outcome = wallets(
        "create", "Holiday", "gift_card", "--limit", "12.50", "--currency", "INR",
        "--home-address.city", "Goa", "--old-address.city", "Pune", "--rule", '{"word": "beach"}',
        "--label", "a=b=c", "--opened-at", "2026-01-02T03:04:05Z", "--tag", "x", "--tag", "y",
        "--no-shared", "--colour", "deep_blue", "--coins", "7",
    )  # fmt: skip
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("Wallet created.\n")
    assert "limit      12.50 INR" in outcome.out
    assert "word   percent" in outcome.out
    assert received(script, "CreateWalletRequest") == {
        "name": "Holiday", "walletKind": "gift_card",
        "limit": {"value": "12.50", "currency": "INR"},
        "homeAddress": {"city": "Goa"}, "oldAddress": {"city": "Pune"},
        "rules": [{"word": "beach"}], "labels": {"a": "b=c"},
        "openedAt": "2026-01-02T03:04:05Z", "tags": ["x", "y"], "shared": False,
        "colour": "COLOUR_DEEP_BLUE", "coins": "7",
    }  # fmt: skip


def test_create_from_json(wallets: Run, script: Script, tmp_path: Path) -> None:
    body = {"name": "Food", "walletKind": "cash", "limit": {"value": "1", "currency": "INR"}}
    wallets("create", "--body", "-", "--limit", "2", stdin=json.dumps(body))
    assert received(script, "CreateWalletRequest") == {
        **body, "limit": {"value": "2", "currency": "INR"},
    }  # fmt: skip
    file = tmp_path / "wallet.json"
    file.write_text(json.dumps({**body, "nmae": 1}))
    wrong = wallets("create", "--body", str(file))
    assert wrong.code == 2
    assert "nmae" in wrong.err
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(body).encode())  # as some editors save it
    wallets("create", "--body", str(file))
    assert received(script, "CreateWalletRequest") == body


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create",), "Missing argument 'name'"),
        (("create", "a", "cash"), "Missing option '--limit'"),
        (("create", "a", "gold"), "'cash', 'gift_card'"),
        (("create", "a", "cash", "--limit", "1", "--rule", "{"), "rule must be JSON"),
        (("create", "a", "cash", "--limit", "1", "--label", "x"), "--label must be KEY=VALUE"),
        (("create", "a", "cash", *LIMIT, "--opened-at", "now"), "openedAt"),
        (("create", "--body", "missing.json"), "missing.json cannot be read"),
        (("create", "--body", "-"), "--body must be one JSON object"),
        (("create", "a", "cash", *LIMIT, "--coins", "9" * 40), "--coins: 9999"),
        (("list", "--limit", "99999999999"), "--limit: 99999999999 is out of range"),
        (("show", "\udcff"), "wallet: what was given is no UTF-8"),
        (("create", "a", "cash", *LIMIT, "--tag", "x", "--tag", "\udcff"), "--tag: what was"),
        (("delete", "w1"), "Say --yes"),
        (("lock", "w1"), "secret is needed"),
        (("upload-picture", "missing.png"), "missing.png cannot be read"),
    ],
)
def test_what_is_wrong_is_named(wallets: Run, arguments: tuple[str, ...], said: str) -> None:
    outcome = wallets(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err


def test_no_secret_is_quoted(wallets: Run) -> None:
    for body in ('{"secret": {"is": "hush"}}', '{"secret": ["hush"]}', '{"secret": "hush'):
        outcome = wallets("lock", "w1", "--body", "-", stdin=body)
        assert outcome.code == 2
        assert "hush" not in outcome.err


def test_show_update_and_delete(wallets: Run, script: Script) -> None:
    script.replies["GetWallet"].append(message("GetWalletResponse", {"data": WALLET}))
    assert wallets("show", "w1", "--json").json["limit"] == WALLET["limit"]
    wallets("update", "w1", "--name", "Sea", "--remove", "note", "--remove", "opened-at")
    assert received(script, "UpdateWalletRequest") == {
        "walletId": "w1", "name": "Sea", "updateMask": "note,openedAt",
    }  # fmt: skip
    script.replies["DeleteWallet"].append(message("DeleteWalletResponse", {"message": "Gone"}))
    assert wallets("delete", "w1", "--yes").out == "Gone.\n"
    script.replies["LockWallet"].append(message("DeleteWalletResponse", {"message": "Locked"}))
    assert wallets("lock", "w1", "--body", "-", stdin='{"secret": "hush"}').out == "Locked.\n"


def page(*names: str, more: bool) -> bytes:
    content: dict[str, Any] = {"wallets": [{**WALLET, "name": name} for name in names]}
    content["pagination"] = {"nextPageToken": "next"} if more else {}
    return message("ListWalletsResponse", {"data": content})


def test_list(wallets: Run, script: Script) -> None:
    script.replies["ListWallets"].append(page("Holiday", more=True))
    shown = wallets("list", "--kind", "cash").out
    assert shown.splitlines()[0].split() == ["wallet", "id", "name", "limit", "opened", "at"]
    assert "There are more: --all, or\n--page-token next\n" in shown
    script.replies["ListWallets"].extend([page("a", "b", more=True), page("c", more=False)])
    assert [each["name"] for each in wallets("list", "--all", "--json").lines] == ["a", "b", "c"]
    assert received(script, "ListWalletsRequest") == {"limit": 100, "pageToken": "next"}
    script.replies["ListWallets"].append(page(more=False))
    assert wallets("list").out == "No wallets.\n"
    script.replies["ListWalletCoins"].append(
        message("ListWalletCoinsResponse", {"data": {"coins": [WALLET["limit"]], "totalCoins": 1}})
    )
    shown = wallets("coins", "w1").out
    assert shown.split() == ["value", "currency", "12.50", "INR", "total", "coins", "1"]


def test_files_and_streams(wallets: Run, script: Script, tmp_path: Path) -> None:
    file = tmp_path / "statement.pdf"
    pieces = [HttpBody(data=each).SerializeToString() for each in (b"%PDF", b"-1.7")]
    script.streams["GetStatement"].append(pieces)
    shown = wallets("statement", "w1", "--output", str(file), "--json")
    assert shown.json == {"file": str(file), "bytes": 8}
    assert file.read_bytes() == b"%PDF-1.7"
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"x" * 100_000)
    script.replies["UploadPicture"].append(message("DeleteWalletResponse", {"message": "Kept"}))
    assert wallets("upload-picture", str(picture)).out == "Kept.\n"
    script.streams["WatchWallets"].append([message("Wallet", WALLET)])
    assert [each["name"] for each in wallets("watch", "--json").lines] == ["Holiday"]
