"""`finlink connectors`: users' connections to platforms, and their logins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from finlink_cli import logins, output, runs
from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.failures import wrong_usage
from finlink_cli.parameters import All, Connector, Limit, PageToken, User, Yes
from finlink_cli.words import ConnectionStatus, DataType, Platform

if TYPE_CHECKING:
    from finlink.connectors.v1.connector_service_pb2 import (
        CreateConnectorResponse,
        RefreshSessionResponse,
    )

app = typer.Typer(
    name="connectors",
    no_args_is_help=True,
    help="List, connect, refresh and disconnect connectors.",
)

_COLUMNS = (
    "id",
    "userId",
    "platform",
    "connectionStatus",
    "lastSyncAt",
    "expiresSoon",
    "permissions",
)
_HISTORY = (
    "syncedAt",
    "status",
    "recordsCount",
    "addedCount",
    "missing",
    "errorCode",
    "errorMessage",
    "syncId",
)
LISTS = {"syncHistory": _HISTORY, "errors": ("occurredAt", "errorCode", "errorMessage")}

CredentialsStdin = Annotated[
    bool,
    typer.Option(
        "--credentials-stdin",
        help='Read the credentials from the input: {"username": …, "password": …}.',
    ),
]


@command(app, "list", example="finlink connectors list --status error")
def list_connectors(
    cli: Cli,
    user: Annotated[str | None, typer.Option(help="Those of this user, in the order made.")] = None,
    status: Annotated[ConnectionStatus | None, typer.Option(help="Only this status.")] = None,
    platform: Annotated[Platform | None, typer.Option(help="Only this platform.")] = None,
    limit: Limit = None,
    page_token: PageToken = None,
    everything: All = False,
) -> None:
    """List connectors, newest first; --user goes alone."""
    from finlink.connectors.v1.connector_service_pb2 import (
        ListConnectorsRequest,
        ListUserConnectorsRequest,
    )

    if user is not None:
        if status or platform or limit or page_token or everything:
            raise wrong_usage("--user lists all connectors of a user and goes with no other filter")
        mine = cli.finlink.connectors.ListUserConnectors(ListUserConnectorsRequest(user_id=user))
        cli.rows(output.to_json(mine.data), "connectors", _COLUMNS)
        return
    request = ListConnectorsRequest(
        status=status, platform=platform, limit=limit, page_token=page_token
    )
    call = cli.finlink.connectors.ListConnectors
    cli.listing(call, request, "connectors", _COLUMNS, everything=everything)


@command(app, example="finlink connectors show asha/zerodha")
def show(cli: Cli, connector: Connector) -> None:
    """Show a connector with its newest syncs and errors."""
    from finlink.connectors.v1.connector_service_pb2 import GetConnectorRequest

    request = GetConnectorRequest(connector_id=cli.connector_id(connector))
    cli.one(cli.finlink.connectors.GetConnector(request).data, LISTS)


@command(app, example="finlink connectors connect asha zerodha --permission portfolio")
def connect(
    cli: Cli,
    user: User,
    platform: Annotated[Platform, typer.Argument(help="Where to.")],
    permission: Annotated[
        list[DataType] | None,
        typer.Option(help="What to ask for; may be repeated. Default: all the platform grants."),
    ] = None,
    credentials_stdin: CredentialsStdin = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the first sync; exit with 1 unless it succeeds.")
    ] = False,
) -> None:
    """Connect a user to a platform and start the first sync.

    It asks for what the platform's login needs, and shows no secret. Where the platform insists on its
    own page, it says where that is and waits until you have been there.
    """
    from finlink.connectors.v1.connector_service_pb2 import CreateConnectorRequest

    request = CreateConnectorRequest(
        user_id=user,
        platform=platform,
        credentials=logins.from_stdin() if credentials_stdin else logins.ask(cli, platform),
        permissions=permission or list(DataType),
    )
    answer = cli.finlink.connectors.CreateConnector(request)
    connected: CreateConnectorResponse | RefreshSessionResponse = answer
    if answer.data.login_url:
        if credentials_stdin:
            cli.one(answer.data)
            raise logins.pending(answer.data.id, answer.data.login_url)
        connected = logins.complete(cli, answer.data.id, answer.data.login_url)
    if wait:
        cli.say(f"{connected.message}.")
        _follow_first_sync(cli, answer.data.id, f"{user}/{platform}")
    else:
        cli.changed(connected)
        cli.say(f"\nThe first sync is under way: finlink sync start {user}/{platform} --wait")


def _follow_first_sync(cli: Cli, connector_id: str, name: str) -> None:
    """Show the connector once its first run has ended. Raises Failure where that brought not all."""
    from finlink.connectors.v1.connector_service_pb2 import GetConnectorRequest, TriggerSyncRequest

    # The run under way; were it over already, no second one would follow upon a success.
    request = TriggerSyncRequest(connector_id=connector_id, force_sync=False)
    started = cli.finlink.connectors.TriggerSync(request).data
    run = runs.followed(cli, connector_id, started.sync_id) if started.sync_id else None
    cli.one(
        cli.finlink.connectors.GetConnector(GetConnectorRequest(connector_id=connector_id)).data,
        LISTS,
    )
    if run is not None:
        runs.check(run, name)


@command(app, example="finlink connectors refresh asha/zerodha")
def refresh(cli: Cli, connector: Connector, credentials_stdin: CredentialsStdin = False) -> None:
    """Extend a platform session, or complete a login on the platform's page."""
    from finlink.connectors.v1.connector_service_pb2 import RefreshSessionRequest
    from finlink_client import ReauthRequired

    connector_id = cli.connector_id(connector)
    request = RefreshSessionRequest(
        connector_id=connector_id, credentials=logins.from_stdin() if credentials_stdin else None
    )
    try:
        answer = cli.finlink.connectors.RefreshSession(request)
    except ReauthRequired as error:
        if error.login_url is None:
            raise
        if credentials_stdin or not cli.can_ask:
            raise logins.pending(connector_id, error.login_url) from None
        answer = logins.complete(cli, connector_id, error.login_url)
    cli.changed(answer)


@command(app, example="finlink connectors disconnect asha/zerodha --yes")
def disconnect(
    cli: Cli,
    connector: Connector,
    delete_records: Annotated[
        bool, typer.Option("--delete-records", help="Erase what syncs have fetched, too.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Log out at the platform, destroy the credentials and stop the syncs."""
    from finlink.connectors.v1.connector_service_pb2 import DisconnectConnectorRequest

    what = f"Disconnect {connector}" + (" and erase its records" if delete_records else "")
    cli.confirm(f"{what}?", yes=yes)
    request = DisconnectConnectorRequest(
        connector_id=cli.connector_id(connector), delete_records=delete_records
    )
    cli.changed(cli.finlink.connectors.DisconnectConnector(request))
