"""Who may make each call of connectors; see `tests/contract/access_table.py`."""

from __future__ import annotations

# The calls of the first release.
OPEN = {
    "ConnectorService": {
        "CreateConnector": "write self admin",
        "ListConnectors": "read moderator",
        "GetConnectorStatusSummary": "read moderator",
        "GetConnectorTrends": "read moderator",
        "GetConnector": "read self moderator",
        "ListUserConnectors": "read self moderator",
        "GetUserPlatformConnector": "read self moderator",
        "DisconnectConnector": "write self admin",
        "RefreshSession": "write self admin",
        "ListRecords": "read self moderator",
        "WatchConnectors": "read self moderator",
    },
    "SyncService": {
        "GetSyncStatus": "read self moderator",
        "UpdateSyncSettings": "write self admin",
        "TriggerSync": "write self admin",
        "GetSync": "read self moderator",
        "CancelSync": "write self admin",
    },
}
