"""Which changes of a connector's document callers hear of, and what they get."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from server.domains.connectors.connections.documents import connector
from server.domains.connectors.model import Connector, RunState
from server.storage.driver import Document

# Fields that heartbeats of runs and rollups change: callers do not see them, and they are most of all
# changes.
_INTERNAL = ["sync.dueAt", "sync.fence", "updatedAt", "tallied"]
_UPDATED = {
    "$map": {"input": {"$objectToArray": "$updateDescription.updatedFields"}, "in": "$$this.k"}
}
_SHOWN = {
    "$or": [
        {"$ne": ["$operationType", "update"]},
        {"$ne": ["$updateDescription.removedFields", []]},
        {"$not": [{"$setIsSubset": [_UPDATED, _INTERNAL]}]},
    ]
}
# Nothing else leaves MongoDB; of the history the newest run is enough.
_FIELDS = (
    "_id", "userId", "platform", "connectionStatus", "connectionDetails.connectedAt",
    "connectionDetails.disconnectedAt", "connectionDetails.lastSyncAt",
    "credentials.tokenExpiresAt", "sync.run", "failing",
)  # fmt: skip


def _image(name: str) -> Document:
    history = f"${name}.syncHistory"
    newest = {"$cond": [{"$isArray": history}, {"$slice": [history, 1]}, "$$REMOVE"]}
    return {**{f"{name}.{field}": 1 for field in _FIELDS}, f"{name}.syncHistory": newest}


PIPELINE: list[Document] = [
    {"$match": {"$expr": _SHOWN}},
    {
        "$project": {
            "operationType": 1,
            "documentKey": 1,
            "wallTime": 1,
            **_image("fullDocument"),
            **_image("fullDocumentBeforeChange"),
        }
    },
]


# `connector`: made, or its connection changed; `sync`: a run of it was asked for, went on or ended.
Kind = Literal["connector", "sync", "deleted"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `connector` is the connector after it, or as it was last."""

    kind: Kind
    connector: Connector
    sync: RunState | None = None  # the run that is wanted or under way after it
    ended: RunState | None = None  # the run that it ended

    @property
    def owner(self) -> str:
        return self.connector.user_id


def change_of(raw: Mapping[str, Any]) -> Change | None:
    """The event for callers of an entry of the change stream; None for none."""
    before, after = _connector(raw, "fullDocumentBeforeChange"), _connector(raw, "fullDocument")
    if after is None:
        return None if before is None else Change("deleted", before)
    sync, ended = _run(after), _ended(before, after)
    kind: Kind
    if before is None or _connection(before) != _connection(after):
        kind = "connector"
    elif ended is not None or _run(before) != sync:
        kind = "sync"
    else:
        return None
    return Change(kind, after, sync, ended)


def _connector(raw: Mapping[str, Any], name: str) -> Connector | None:
    document = raw.get(name)
    return connector(document) if document else None


def _connection(of: Connector) -> tuple[object, ...]:
    return of.status, of.session.connected_at, of.session.disconnected_at, of.session.expires_at


def _run(of: Connector) -> RunState | None:
    return of.run_state(of.sync.run.sync_id) if of.sync.run is not None else None


def _ended(before: Connector | None, after: Connector) -> RunState | None:
    """The run whose entry came first in the history with this change."""
    newest = after.history[:1]
    if before is None or not newest or newest == before.history[:1] or newest[0].sync_id is None:
        return None
    return after.run_state(newest[0].sync_id)
