"""Connectors as MongoDB keeps them: collection `connectors`, fields as the product's schema has them.

Beside them and those of the model a document has what the engine needs:

    sync.dueAt        when the connector wants a worker: a run is wanted or due, or a lease lapses
    sync.owed         the data types that the next run is about, after an outage cut one short
    session.checkAt   when to check the session
"""

from collections.abc import Mapping
from typing import Any

from server.domains.connectors.model import Connector
from server.storage.mapping import Mapped

_SECTIONS = ("metadata", "connectionDetails", "credentials", "session", "sync")
_MAPPED = Mapped(Connector)


def connector(document: Mapping[str, Any]) -> Connector:
    """A document as a connector; what another tool left out has its default.

    Session, sync and totals each take their fields out of all sections: no two have a name in common.
    """
    fields = dict(document)
    for section in _SECTIONS:
        fields |= fields.pop(section, None) or {}
    fields["createdAt"] = fields.get("createdAt") or document["_id"].generation_time
    fields["updatedAt"] = fields.get("updatedAt") or fields["createdAt"]
    fields["dataTypes"] = fields.get("dataTypes") or fields.get("permissions")
    fields["syncHistory"] = [
        entry
        for entry in fields.get("syncHistory") or ()
        if entry.get("syncedAt") and entry.get("status")
    ]
    fields["errors"] = [
        {**entry, "occurredAt": entry.get("occurredAt") or fields["createdAt"]}
        for entry in fields.get("errors") or ()
    ]
    return _MAPPED.read({**fields, "session": fields, "sync": fields, "totals": fields})
