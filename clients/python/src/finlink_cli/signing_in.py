"""`finlink login`, `logout` and `profiles`: a user's session, kept for the commands that follow."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from finlink_cli import output, profiles, rpcs, streams
from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.failures import wrong_usage
from finlink_cli.profiles import Profile

_TOTP = re.compile(r"[0-9]{6}")  # a recovery code has letters
_COLUMNS = ("profile", "user", "role", "address", "endsAt")


@command("login", example="finlink login asha@example.com")
def login(
    cli: Cli,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Email address, username, or phone number with its country code. Without it you are asked.",
        ),
    ] = None,
    *,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the input.")
    ] = False,
    device_name: Annotated[
        str | None, typer.Option(help="The name of this device in the list of sessions.")
    ] = None,
    code: Annotated[
        str | None,
        typer.Option(
            help="A code of your authenticator app, or a recovery code, if you have a second factor."
        ),
    ] = None,
) -> None:
    """Signs you in. The commands that follow call as you, until `finlink logout`.

    The tokens are kept in a file that only you may read, and renewed by themselves.
    """
    profile_name = cli.settings.profile
    before = profiles.read().get(profile_name)
    name = name or _asked(cli, "Email, username or phone number", hidden=False)
    password = _password(cli, from_input=password_stdin)
    cli.settings = replace(cli.settings, session=False)
    given = {"password": password, "device_token": _device(cli, before), "device_name": device_name}
    fields = {key: value for key, value in given.items() if value}
    data = rpcs.reply(cli, "Login", **{_kind(name): name}, **fields).data
    if data.HasField("challenge"):
        data = _completed(cli, data.challenge.challenge_id, code)
    with profiles.locked():
        profiles.put(profile_name, _profile(cli, data))
    if before is not None:
        _end(cli, before)
    facts = {"profile": profile_name, **_facts(profiles.read()[profile_name])}
    if cli.as_json:
        cli.put(facts)
    else:
        cli.say(
            output.safe(f"Signed in as {facts['user']} ({facts['role']}) at {facts['address']}.")
        )


@command("logout", example="finlink logout")
def logout(
    cli: Cli,
    *,
    forget: Annotated[
        bool,
        typer.Option("--forget", help="Remove the tokens even if Finlink cannot be reached."),
    ] = False,
) -> None:
    """Signs you out: ends the session, and removes its tokens from this machine."""
    from finlink_client import FinlinkError

    name = cli.settings.profile
    found = profiles.read().get(name)
    if found is None:
        _message(cli, "Nobody was signed in")
        return
    cli.settings = replace(cli.settings, **found.place, session=False)
    with profiles.locked():
        newest = profiles.read().get(name, found)
        try:
            rpcs.reply(cli, "Logout", refresh_token=newest.tokens["refresh_token"])
        except FinlinkError:
            if not forget:
                raise
        profiles.put(name, None)
    _message(cli, "Signed out")


@command("profiles", example="finlink profiles --json")
def show_profiles(cli: Cli) -> None:
    """Lists who is signed in from this machine, and where; `--profile` chooses among them."""
    rows = [{"profile": name, **_facts(each)} for name, each in sorted(profiles.read().items())]
    if cli.as_json:
        cli.put({"profiles": rows})
    else:
        cli.table("profiles", rows, _COLUMNS)


def _asked(cli: Cli, question: str, *, hidden: bool) -> str:
    if not cli.can_ask:
        raise wrong_usage(
            "nobody is there to be asked", "Give the name, and the password with --password-stdin."
        )
    return streams.ask(question, hide_input=hidden)


def _password(cli: Cli, *, from_input: bool) -> str:
    """Raises Failure, which quotes nothing of it."""
    if not from_input:
        return _asked(cli, "Password", hidden=True)
    try:
        password = streams.text(streams.read("-"))
    except ValueError:
        raise wrong_usage("the password on the input is not UTF-8") from None
    password = password.removesuffix("\n").removesuffix("\r")
    if not password:
        raise wrong_usage("there is no password on the input")
    return password


def _completed(cli: Cli, challenge_id: str, code: str | None) -> Any:
    """The session of a login that needs a second factor."""
    if code is None and not cli.can_ask:
        raise wrong_usage("this login needs a second factor", "Give a code with --code.")
    shown = code or streams.ask("Code of your authenticator app, or a recovery code")
    field = "totp" if _TOTP.fullmatch(shown.strip()) else "recovery_code"
    reply = rpcs.reply(
        cli, "VerifySecondFactor", challenge_id=challenge_id, **{field: shown.strip()}
    )
    return reply.data


def _kind(name: str) -> str:
    """The field of a login that a name belongs into."""
    if "@" in name:
        return "email"
    return "phone_number" if name.startswith("+") else "username"


def _device(cli: Cli, before: Profile | None) -> str:
    """This device is known where somebody has signed in before."""
    if before is None or before.address != cli.settings.address:
        return ""
    return before.device_token


def _profile(cli: Cli, data: Any) -> Profile:
    from finlink_client import Tokens

    settings, now = cli.settings, time.time()
    paths = {
        name: str(Path(path).absolute())
        for name in ("ca", "client_cert", "client_key")
        if (path := getattr(settings, name)) is not None
    }
    return Profile(
        user=data.user.user_id,
        role=data.user.role,
        session=data.session_id,
        address=settings.address,
        tls=settings.encrypted,
        device_token=data.device_token,
        tokens=asdict(Tokens.of(data, now)),
        **paths,
    )


def _end(cli: Cli, before: Profile) -> None:
    """The session that the new one takes the place of, if it is of the same Finlink."""
    from finlink_client import FinlinkError

    if before.address == cli.settings.address:
        with suppress(FinlinkError):
            rpcs.reply(cli, "Logout", refresh_token=before.tokens["refresh_token"])


def _facts(profile: Profile) -> output.Json:
    ends = datetime.fromtimestamp(profile.tokens["ends"], UTC)
    return {
        "user": profile.user,
        "role": profile.role,
        "address": profile.address,
        "sessionId": profile.session,
        "endsAt": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
    }


def _message(cli: Cli, message: str) -> None:
    if cli.as_json:
        cli.put({"message": message})
    else:
        cli.say(f"{message}.")
