"""Who may make each call, written by hand beside the contract: a new RPC without an entry fails.

Each entry has the scope that an API key needs, and which users may call: `all`, `none`, `own` (the caller's
own account), `self` (what is the user's own) with the role from which on anybody's, or a role.
"""

from __future__ import annotations

# Also without any credential, as long as Finlink has no API keys: the calls of the first release.
OPEN = {
    "UserService": {
        "CreateUser": "write admin",
        "GetUser": "read self moderator",
        "BatchGetUsers": "read moderator",
        "ListUsers": "read moderator",
        "UpdateUserProfile": "write self admin",
        "UpdateUserPreferences": "write self admin",
        "UpdateUserStatus": "write moderator",
        "UpdateUserMetadata": "write admin",
        "UpdateUserEmailVerified": "admin admin",
        "DeleteUser": "write self admin recent",
    },
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
    "AuditService": {"ListAuditEvents": "admin admin"},
    "ExportService": {"ExportUser": "admin self admin recent"},
}
# A credential is needed in any case, but for those for `all`.
CLOSED: dict[str, dict[str, str]] = {}
