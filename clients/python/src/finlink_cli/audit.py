"""`finlink audit`: who did what, and when."""

from __future__ import annotations

from typing import Annotated

import typer

from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.parameters import All, Limit, PageToken

_COLUMNS = (
    "at", "action", "userId", "platform", "connectorId", "fields", "code", "actor.kind", "actor.key",
    "actor.address",
)  # fmt: skip


def add_to(app: typer.Typer) -> None:
    command(app, example="finlink audit --user asha --action connector.connected")(audit)


def audit(
    cli: Cli,
    user: Annotated[str | None, typer.Option(help="Only about this user.")] = None,
    connector: Annotated[
        str | None, typer.Option(help="Only about this connector: its id, or USER/PLATFORM.")
    ] = None,
    action: Annotated[str | None, typer.Option(help="Only this action, as user.created.")] = None,
    key: Annotated[str | None, typer.Option(help="Only by the API key of this name.")] = None,
    from_date: Annotated[
        str | None, typer.Option(metavar="DATE", help="At or after: YYYY-MM-DD or RFC 3339.")
    ] = None,
    to_date: Annotated[
        str | None, typer.Option(metavar="DATE", help="At or before, alike.")
    ] = None,
    limit: Limit = None,
    page_token: PageToken = None,
    everything: All = False,
) -> None:
    """List what was done to users and connectors, newest first.

    It needs an API key of the scope admin, where keys are used.
    """
    from finlink.audit.v1.audit_service_pb2 import ListAuditEventsRequest

    request = ListAuditEventsRequest(
        user_id=user,
        connector_id=connector and cli.connector_id(connector),
        action=action,
        key=key,
        from_date=from_date,
        to_date=to_date,
        limit=limit,
        page_token=page_token,
    )
    call = cli.finlink.audit.ListAuditEvents
    cli.listing(call, request, "events", _COLUMNS, everything=everything)
