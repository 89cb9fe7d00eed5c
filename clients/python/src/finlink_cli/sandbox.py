"""`finlink sandbox`: failures that platforms have, made in the sandbox of `make run` to see what follows."""

from __future__ import annotations

import json
import re
import shlex
from enum import StrEnum
from http.client import HTTPException
from typing import Annotated, Any, TypeAlias
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

import typer

from finlink_cli import output, rpcs
from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.failures import Exit, Failure, wrong_usage
from finlink_cli.parameters import complete_connector

_EVERY_LOGIN = "*"
_LOGIN = re.compile(r"[A-Za-z0-9+@._-]{1,64}")
_ADDRESS = re.compile(r"[A-Za-z0-9._-]+:\d{1,5}")
_SECONDS = 10.0
_SLOW_MS = 5_000
# It is on this machine, so no proxy stands between.
_OPENER = build_opener(ProxyHandler({}))


class Kind(StrEnum):
    """The failures that the sandbox can make; its control API has more to set."""

    EXPIRED = "expired"
    REVOKED = "revoked"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - the name of a failure
    UNAVAILABLE = "unavailable"
    THROTTLED = "throttled"
    NOT_JSON = "not_json"
    WRONG_SHAPE = "wrong_shape"
    PARTIAL = "partial"
    DUPLICATE_ROWS = "duplicate_rows"
    SLOW = "slow"
    HANG = "hang"
    DROP = "drop"


Connector: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="CONNECTOR",
        help="The connector: its id, or USER/PLATFORM as asha/zerodha.",
        autocompletion=complete_connector,
    ),
]
Login: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="The login at the platform, such as a phone number. Default: the connector's where "
        "Finlink shows it, else all logins of the platform."
    ),
]
Control: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT",
        envvar="FINLINK_SANDBOX_CONTROL",
        help="The sandbox's control API; Finlink's SANDBOX_CONTROL_PORT.",
    ),
]
_CONTROL = "127.0.0.1:8084"


@command("sandbox fail", example="finlink sandbox fail asha/zerodha --with unavailable")
def fail(
    cli: Cli,
    connector: Connector,
    kind: Annotated[
        Kind,
        typer.Option(
            "--with", metavar="FAILURE", help=f"What goes wrong: {', '.join(sorted(Kind))}."
        ),
    ],
    login: Login = None,
    call: Annotated[
        list[str] | None,
        typer.Option(help="Only of these calls, as fetch_net_worth or /trades. May be repeated."),
    ] = None,
    times: Annotated[
        int | None, typer.Option(min=1, help="How often; without it until it is restored.")
    ] = None,
    control: Control = _CONTROL,
) -> None:
    """Makes a platform of the sandbox fail for a connector.

    It takes the place of what was made to fail before.
    """
    rule: dict[str, Any] = {"kind": kind.value}
    if call:
        rule["calls"] = call
    if times:
        rule["times"] = times
    if kind is Kind.SLOW:
        rule["ms"] = _SLOW_MS
    given = _given(login, control)
    platform, login = _account(cli, connector, login)
    _ask(control, "PUT", f"{_account_path(platform, login)}/faults", [rule])
    whom = "all logins" if login == _EVERY_LOGIN else f"the login {login}"
    if cli.as_json:
        cli.put({"platform": platform, "login": login, "faults": [rule]})
    cli.say(
        output.safe(
            f"{platform} fails for {whom}: {kind.value}.\n\n"
            f"See what follows: finlink sync start {connector} --wait\n"
            f"End it: finlink sandbox restore {connector}{given}"
        )
    )


@command("sandbox show", example="finlink sandbox show asha/zerodha")
def show(cli: Cli, connector: Connector, login: Login = None, control: Control = _CONTROL) -> None:
    """Shows what was made to fail for a connector, and how often it did."""
    platform, login = _account(cli, connector, login)
    rules = _ask(control, "GET", f"{_account_path(platform, login)}/faults")
    if cli.as_json:
        cli.put({"platform": platform, "login": login, "faults": rules})
        return
    rows = [{**rule, "calls": ", ".join(rule.get("calls") or ["all"])} for rule in rules]
    cli.table("faults", rows, ("kind", "calls", "applied", "times"))


@command("sandbox restore", example="finlink sandbox restore asha/zerodha")
def restore(
    cli: Cli, connector: Connector, login: Login = None, control: Control = _CONTROL
) -> None:
    """Ends what was made to fail for a connector."""
    platform, login = _account(cli, connector, login)
    _ask(control, "DELETE", f"{_account_path(platform, login)}/faults")
    if cli.as_json:
        cli.put({"platform": platform, "login": login, "faults": []})
    whom = "all logins" if login == _EVERY_LOGIN else f"the login {login}"
    cli.say(output.safe(f"{platform} has no failures of {whom} any more."))


def _given(login: str | None, control: str) -> str:
    """The options that a command about the same failure needs as well."""
    options = {"--login": login or "", "--control": control if control != _CONTROL else ""}
    return "".join(f" {name} {shlex.quote(value)}" for name, value in options.items() if value)


def _account(cli: Cli, connector: str, login: str | None) -> tuple[str, str]:
    """Platform and login of a connector."""
    if login is not None and not _LOGIN.fullmatch(login):
        raise wrong_usage("--login must be a login as the platform has it, without blanks and `/`")
    connector_id = rpcs.connector_id(cli, connector)
    connected = output.to_json(rpcs.reply(cli, "GetConnector", connector_id=connector_id).data)
    platform = connected["platform"]
    shown = connected.get("metadata", {}).get("platformUserId", "")
    # Fi Money knows its users by their phone numbers, which Finlink does not show.
    return platform, login or (shown if shown and platform != "fi_money" else _EVERY_LOGIN)


def _account_path(platform: str, login: str) -> str:
    return f"/accounts/{quote(platform, safe='')}/{quote(login, safe='*')}"


def _ask(control: str, method: str, path: str, content: Any = None) -> Any:
    """Returns what the control API replies. Raises Failure."""
    if not _ADDRESS.fullmatch(control):
        raise wrong_usage(f"--control must be HOST:PORT, as {_CONTROL}, not {control}")
    body = None if content is None else json.dumps(content).encode()
    try:
        request = Request(f"http://{control}{path}", body, method=method)
        with _OPENER.open(request, timeout=_SECONDS) as reply:
            text = reply.read()
            return json.loads(text) if text else None
    except HTTPError as error:
        with error:
            raise _refused(error.code, error.read()) from None
    except (URLError, OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or "what replies there is none"
        raise Failure(
            "UNAVAILABLE",
            f"no sandbox is reached at {control}: {reason}",
            Exit.UNAVAILABLE,
            hint="It is a part of 'make run' in development; its SANDBOX_CONTROL_PORT is --control here.",
        ) from None


def _refused(status: int, body: bytes) -> Failure:
    try:
        said = json.loads(body)
        return wrong_usage(str(said["error"]).replace("[0].calls", "--call"))
    except (ValueError, KeyError, TypeError):
        return Failure("FAILED", f"the sandbox replied {status}", Exit.FAILED)
