"""`finlink records`: what syncs have kept."""

from __future__ import annotations

from typing import Annotated

import typer

from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.parameters import All, Connector, Limit, PageToken
from finlink_cli.words import DataType

# Each data type has a column of its own for the same thing; those it does not have stay empty.
_COLUMNS = {
    DataType.TRANSACTIONS: (
        "transaction.date", "transaction.direction", "transaction.amount", "transaction.balanceAfter",
        "transaction.mode", "transaction.narration",
    ),
    DataType.TRADES: (
        "trade.time", "trade.date", "trade.side", "trade.quantity", "trade.symbol", "trade.fund",
        "trade.price", "trade.amount",
    ),
    DataType.PORTFOLIO: (
        "holding.kind", "holding.name", "holding.symbol", "holding.quantity", "holding.lastPrice",
        "holding.value", "holding.closedAt",
    ),
    DataType.PROFILE: (
        "profile.name", "profile.email", "profile.dateOfBirth", "profile.broker", "profile.institutions",
    ),
}  # fmt: skip
_EVERY_TYPE = (
    "dataType", "transaction.date", "transaction.narration", "transaction.amount", "trade.side",
    "trade.symbol", "trade.fund", "trade.quantity", "holding.name", "holding.value", "profile.name",
    "addedAt",
)  # fmt: skip


def add_to(app: typer.Typer) -> None:
    command(app, example="finlink records asha/zerodha --data-type trades --limit 5")(records)


def records(
    cli: Cli,
    connector: Connector,
    data_type: Annotated[DataType | None, typer.Option(help="Only this data type.")] = None,
    limit: Limit = None,
    page_token: PageToken = None,
    everything: All = False,
) -> None:
    """List what a connector's syncs have kept, newest first."""
    from finlink.connectors.v1.connector_service_pb2 import ListRecordsRequest

    request = ListRecordsRequest(
        connector_id=cli.connector_id(connector),
        data_type=data_type,
        limit=limit,
        page_token=page_token,
    )
    columns = _COLUMNS[data_type] if data_type else _EVERY_TYPE
    call = cli.finlink.connectors.ListRecords
    cli.listing(call, request, "records", columns, everything=everything)
