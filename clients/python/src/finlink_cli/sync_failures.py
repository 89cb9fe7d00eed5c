"""`finlink sync failures`: which syncs fail or bring a part only, why, and what to do about it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from finlink_words import Platform

from finlink_cli import contract, output, rpcs
from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.failures import sync_advice
from finlink_cli.parameters import complete_user

# By what the audit trail calls them. A run that finds its session over ends with the last: it failed as well.
_STATUSES = {"sync.failed": "failed", "sync.partial": "partial", "session.expired": "expired"}
_COLUMNS = ("userId/platform", "status", "code", "message", "at", "missing", "connectorId")
_TOGETHER = 60.0  # seconds within which a run and the event about it are recorded


@command("sync failures", example="finlink sync failures --platform zerodha")
def failures(
    cli: Cli,
    user: Annotated[
        str | None, typer.Option(help="Only of this user.", autocompletion=complete_user)
    ] = None,
    platform: Annotated[Platform | None, typer.Option(help="Only of this platform.")] = None,
    from_date: Annotated[
        str | None, typer.Option(metavar="DATE", help="At or after: YYYY-MM-DD or RFC 3339.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 20,
) -> None:
    """Lists the newest syncs that failed or brought a part only, with their cause and what to do.

    Over all connectors. A partial one has a row for each cause, with the data types that are missing for it.

    It needs an API key of the scope admin, where keys are used.
    """
    cli.options = {"userId": "--user", "fromDate": "--from-date"}
    events = _events(cli, user, platform, from_date, limit)
    connectors: dict[str, output.Json | None] = {}
    rows = []
    for event in events:
        connector_id = event["connectorId"]
        if connector_id not in connectors:
            connectors[connector_id] = _connector(cli, connector_id)
        code = event.get("code", "")
        user_id, on = event["userId"], event["platform"]
        advice = sync_advice(code, {"connector": connector_id, "user": user_id, "platform": on})
        found = {name: event.get(name) for name in ("at", "userId", "platform", "connectorId")}
        rows.append(
            {
                **found,
                "status": _STATUSES[event["action"]],
                "missing": event["fields"],
                "code": code,
                "message": _message(event, connectors[connector_id]),
                "next": advice,
            }
        )
    if cli.as_json:
        cli.put({"failures": rows})
        return
    cli.table("failures", rows, _COLUMNS)
    for advice in dict.fromkeys(f"{row['code']}: {row['next']}" for row in rows):
        cli.say(f"\n{advice}")


def _events(
    cli: Cli, user: str | None, platform: Platform | None, from_date: str | None, limit: int
) -> list[output.Json]:
    """The newest failures in the audit trail."""
    from finlink_client.paging import pages_blocking

    listing = contract.find("ListAuditEvents")
    call: Any = rpcs.named(cli, "ListAuditEvents")
    found: list[output.Json] = []
    for action in _STATUSES:
        request = rpcs.blank(listing, user_id=user, action=action, from_date=from_date)
        of_action: list[output.Json] = []
        for page in pages_blocking(call, request, None):
            of_action += [
                output.to_json(event)
                for event in page.data.events
                if platform is None or event.platform == platform
            ]
            if len(of_action) >= limit:
                break
        found += of_action
    return sorted(found, key=lambda event: str(event["at"]), reverse=True)[:limit]


def _connector(cli: Cli, connector_id: str) -> output.Json | None:
    from finlink_client import ConnectorNotFound

    try:
        found = rpcs.reply(cli, "GetConnector", connector_id=connector_id)
    except ConnectorNotFound:
        return None
    return output.to_json(found.data)


def _message(event: output.Json, connector: output.Json | None) -> str:
    """The entry of the connector's history about the run of the event."""
    if connector is None:
        return "(its user was deleted)"
    apart = {
        _seconds_apart(run["syncedAt"], event["at"]): message
        for run in connector["syncHistory"]
        for code, message in _causes(run)
        if code == event.get("code")
    }
    if not apart or min(apart) > _TOGETHER:
        return "(no longer in the connector's history)"
    return apart[min(apart)]


def _causes(run: output.Json) -> list[tuple[str, str]]:
    """Code and message of all that went wrong in a run."""
    causes = [(each["code"], each["message"]) for each in run["missing"]]
    return [*causes, (run.get("errorCode", ""), run.get("errorMessage", ""))]


def _seconds_apart(one: str, other: str) -> float:
    difference = datetime.fromisoformat(one) - datetime.fromisoformat(other)
    return abs(difference.total_seconds())
