"""`finlink connectors`: lists by user, and logins, where more is to be said than a call takes."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from finlink_words import DATA_TYPES

from finlink_cli import logins, replies, rpcs, runs
from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.failures import wrong_usage
from finlink_cli.parameters import All, complete_user

CredentialsStdin = Annotated[
    bool,
    typer.Option(
        "--credentials-stdin",
        help='Read the credentials from the input: {"username": …, "password": …}.',
    ),
]


@command("connectors list", rpc="ListConnectors", example="finlink connectors list --status error")
def list_connectors(
    cli: Cli,
    request: Any,
    user: Annotated[
        str | None,
        typer.Option(help="Those of this user, in the order made.", autocompletion=complete_user),
    ] = None,
    everything: All = False,
) -> None:
    """Lists connectors, newest first. --user goes alone."""
    if user is None:
        replies.show_list(cli, rpcs.named(cli, "ListConnectors"), request, everything=everything)
        return
    if request.ListFields() or everything:
        raise wrong_usage("--user lists all connectors of a user and goes with no other filter")
    cli.options = {"userId": "--user"}
    mine = rpcs.reply(cli, "ListUserConnectors", user_id=user)
    replies.show_rows(cli, mine.data, "connectors")


@command(
    "connectors connect",
    rpc="CreateConnector",
    example="finlink connectors connect asha zerodha --permission portfolio",
)
def connect(
    cli: Cli,
    request: Any,
    credentials_stdin: CredentialsStdin = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the first sync; exit with 1 unless it succeeds.")
    ] = False,
) -> None:
    """Connects a user to a platform and starts the first sync.

    It asks for what the platform's login needs, and shows no secret. Where the platform insists on its
    own page, it says where that is and waits until you have been there.

    It asks for all permissions unless some are given.
    """
    if not request.permissions:
        request.permissions.extend(DATA_TYPES)
    given = logins.from_stdin() if credentials_stdin else logins.ask(cli, request.platform)
    if given is not None:
        request.credentials.CopyFrom(given)
    created = rpcs.named(cli, "CreateConnector")(request)
    connected, connector_id = created, created.data.id
    if created.data.login_url:
        if credentials_stdin:
            replies.one(cli, created.data)
            raise logins.pending(connector_id, created.data.login_url)
        connected = logins.complete(cli, connector_id, created.data.login_url)
    name = f"{request.user_id}/{request.platform}"
    if wait:
        cli.say(f"{connected.message}.")
        _follow_first_sync(cli, connector_id, name)
    else:
        replies.show(cli, connected)
        cli.say(f"\nThe first sync is under way: finlink sync start {name} --wait")


def _follow_first_sync(cli: Cli, connector_id: str, name: str) -> None:
    """Show the connector once its first run has ended. Raises Failure where that brought not all."""
    # The run under way; were it over already, no second one would follow upon a success.
    started = rpcs.reply(cli, "TriggerSync", connector_id=connector_id, force_sync=False).data
    run = runs.followed(cli, connector_id, started.sync_id) if started.sync_id else None
    replies.one(cli, rpcs.reply(cli, "GetConnector", connector_id=connector_id).data)
    if run is not None:
        cli.names["connector"] = name
        runs.check(cli, run)


@command(
    "connectors refresh", rpc="RefreshSession", example="finlink connectors refresh asha/zerodha"
)
def refresh(cli: Cli, request: Any, credentials_stdin: CredentialsStdin = False) -> None:
    """Extends a platform session, or completes a login on the platform's page."""
    from finlink_client import ReauthRequired

    if credentials_stdin:
        request.credentials.CopyFrom(logins.from_stdin())
    try:
        refreshed = rpcs.named(cli, "RefreshSession")(request)
    except ReauthRequired as error:
        if error.login_url is None:
            raise
        if credentials_stdin or not cli.can_ask:
            raise logins.pending(request.connector_id, error.login_url) from None
        refreshed = logins.complete(cli, request.connector_id, error.login_url)
    replies.show(cli, refreshed)
