"""Logins at platforms: what they need, asked for without showing it, and those on a platform's own page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from finlink_cli import contract, output, rpcs, streams
from finlink_cli.cli import Cli
from finlink_cli.failures import Exit, Failure, wrong_usage

# The names of a platform's login and its secret, if it has its own.
_ASKED_FOR: Mapping[str, tuple[str, str]] = {
    "fi_money": ("Phone number", "Passcode"),
    "zerodha": ("User id", "Password"),
}


def ask(cli: Cli, platform: str) -> Any:
    """Ask a person for a login; None where it is to be on the platform's own page. Raises Failure."""
    if not cli.can_ask:
        raise wrong_usage(
            "nobody is there to be asked for a login",
            "Run it in a terminal, or give the credentials with --credentials-stdin.",
        )
    name, secret = _ASKED_FOR.get(platform, ("User name", "Password"))
    name = f"{name} (empty to log in on the platform's own page)"
    username = streams.ask(name, default="", show_default=False)
    if not username:
        return None
    return _credentials(username=username, password=streams.ask(secret, hide_input=True))


def from_stdin() -> Any:
    """The credentials that a program gives. Raises Failure, which quotes nothing of them."""
    names = {field.json_name: field.name for field in _credentials().DESCRIPTOR.fields}
    given = streams.json_object(streams.read("-"))
    if given is None:
        raise wrong_usage(
            "the credentials on the input must be one JSON object",
            f"It may have {', '.join(names)}.",
        )
    for name, value in given.items():
        if name not in names:
            raise wrong_usage(f"credentials: there is no {name}", f"There are {', '.join(names)}.")
        if not isinstance(value, str) or not streams.is_text(value):
            raise wrong_usage(f"credentials.{name} must be a string")
    return _credentials(**{names[name]: value for name, value in given.items()})


def complete(cli: Cli, connector_id: str, login_url: str) -> Any:
    """Have a person log in on the platform's page, then complete the login."""
    cli.notes.print(output.safe(f"Log in at {login_url}"), soft_wrap=True)
    question = "Once done, paste the request token where one is shown, and press Enter"
    pasted = streams.ask(question, default="", show_default=False, hide_input=True)
    # The page leads on to an address with the token in it: that does as well.
    token = parse_qs(urlsplit(pasted).query).get("request_token", [pasted])[0]
    given = _credentials(request_token=token) if token else None
    return rpcs.reply(cli, "RefreshSession", connector_id=connector_id, credentials=given)


def _credentials(**given: str) -> Any:
    request = rpcs.blank(contract.find("CreateConnector"))
    return type(request.credentials)(**given)


def pending(connector_id: str, login_url: str) -> Failure:
    """A login that only a person can complete, where none is there."""
    return Failure(
        "REAUTH_REQUIRED",
        f"the platform wants a login on its own page: {login_url}",
        Exit.LOGIN_NEEDED,
        hint=f"Log in there, then run 'finlink connectors refresh {connector_id}'.",
    )
