"""What the audit trail is told of connectors."""

from __future__ import annotations

from collections.abc import Sequence

from server.auditing import Event
from server.connectors.model import Connector


def about(
    action: str, connector: Connector, *, fields: Sequence[str] = (), code: str | None = None
) -> Event:
    """Something that was done to a connector."""
    return Event(
        action, connector.user_id, connector.id, connector.platform, fields=fields, code=code
    )
