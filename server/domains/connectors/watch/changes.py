"""Which changes of a connector's document callers are told of, and what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from server.domains.connectors.documents import connector
from server.domains.connectors.model import Connector, RunState

# `connector`: made, or its connection changed; `sync`: a run of it was asked for, went on or ended.
Kind = Literal["connector", "sync", "deleted"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `connector` is the connector after it, or as it was last."""

    position: str
    kind: Kind
    at: datetime
    connector: Connector
    sync: RunState | None = None  # the run that is wanted or under way after it
    ended: RunState | None = None  # the run that it ended


def change_of(raw: Mapping[str, Any]) -> Change | None:
    """What callers are told of an entry of the change stream; None where it is of no interest to them."""
    before, after = _connector(raw, "fullDocumentBeforeChange"), _connector(raw, "fullDocument")
    position, at = raw["_id"]["_data"], raw["wallTime"]
    if after is None:
        return None if before is None else Change(position, "deleted", at, before)
    sync, ended = _run(after), _ended(before, after)
    kind: Kind
    if before is None or _connection(before) != _connection(after):
        kind = "connector"
    elif ended is not None or _run(before) != sync:
        kind = "sync"
    else:
        return None
    return Change(position, kind, at, after, sync, ended)


def _connector(raw: Mapping[str, Any], name: str) -> Connector | None:
    document = raw.get(name)
    return connector(document) if document else None


def _connection(of: Connector) -> tuple[object, ...]:
    return of.status, of.connected_at, of.disconnected_at, of.expires_at


def _run(of: Connector) -> RunState | None:
    return of.run_state(of.run.sync_id) if of.run is not None else None


def _ended(before: Connector | None, after: Connector) -> RunState | None:
    """The run whose entry came first in the history with this change."""
    newest = after.history[:1]
    if before is None or not newest or newest == before.history[:1] or newest[0].sync_id is None:
        return None
    return after.run_state(newest[0].sync_id)
