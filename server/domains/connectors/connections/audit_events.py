"""The events of connectors in the audit trail."""

from collections.abc import Sequence

from server.core.events import Event
from server.domains.connectors.model import Connector, HistoryEntry


def about(
    action: str, connector: Connector, *, fields: Sequence[str] = (), code: str | None = None
) -> Event:
    """Something that was done to a connector."""
    return Event(
        action, connector.user_id, connector.id, connector.platform, fields=fields, code=code
    )


def of_run(connector: Connector, entry: HistoryEntry) -> Sequence[Event]:
    """How a run ended: nothing of one that brought all, and an event a code of one that brought a part.

    `connector` is as it was claimed.
    """
    if entry.status == "success":
        return ()
    if entry.status == "failed":
        return (about("sync.failed", connector, code=entry.error_code),)
    if connector.history and _repeats(entry, connector.history[0]):
        return ()
    missing: dict[str | None, list[str]] = {entry.error_code: []}
    for each in entry.missing:
        missing.setdefault(each.code, []).append(each.data_type)
    return tuple(
        about("sync.partial", connector, fields=data_types, code=code)
        for code, data_types in missing.items()
    )


def _repeats(entry: HistoryEntry, before: HistoryEntry) -> bool:
    """Whether a partial run lacks what the one before it lacked, within the same hour.

    Runs that fail in a row come more slowly, at last once an hour; partial ones keep their interval and
    would flood the trail.
    """
    same_hour = f"{entry.synced_at:%F %H}" == f"{before.synced_at:%F %H}"
    return same_hour and _lacks(entry) == _lacks(before)


def _lacks(entry: HistoryEntry) -> tuple[object, ...]:
    return entry.status, entry.error_code, {(each.data_type, each.code) for each in entry.missing}
