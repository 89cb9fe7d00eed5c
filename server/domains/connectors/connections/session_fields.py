"""The fields that beginning, renewing and ending a session sets on a connector's document."""

from dataclasses import dataclass
from datetime import datetime

from server.core.clock import utc_now
from server.domains.connectors.connections import expressions as x
from server.storage.driver import Document


@dataclass(frozen=True, slots=True)
class SealedSession:
    """A session as it is stored with a connector."""

    session_id: str
    sealed_session: str
    expires_at: datetime
    platform_user_id: str
    account_type: str
    check_at: datetime  # when to renew it, or to ask whether it has ended


NO_SYNCS: Document = {
    "connectionDetails.nextSyncAt": "$$REMOVE",
    "sync.run": "$$REMOVE",
    "sync.dueAt": "$$REMOVE",
    "sync.owed": "$$REMOVE",
}


def session_opened(sealed: SealedSession) -> Document:
    """A session, begun or renewed."""
    return {
        "sessionId": sealed.session_id,
        "credentials.encryptedToken": sealed.sealed_session,
        "credentials.tokenExpiresAt": sealed.expires_at,
        "session.checkAt": sealed.check_at,
        "metadata.platformUserId": {"$literal": sealed.platform_user_id},
        "metadata.accountType": {"$literal": sealed.account_type},
    }


def session_begun(sealed: SealedSession, sync_id: str, now: datetime) -> Document:
    """A session that begins, with its first run; none for a user who is not active."""
    active = {"$not": [x.IS_PAUSED]}
    run = {"syncId": sync_id, "dataTypes": "$metadata.dataTypes", "requestedAt": now}
    return {
        **session_opened(sealed),
        "connectionStatus": "connected",
        "connectionDetails.connectedAt": now,
        "connectionDetails.disconnectedAt": "$$REMOVE",
        "connectionDetails.sessionDuration": "$$REMOVE",
        "connectionDetails.nextSyncAt": x.keep_or_remove(x.SYNCS_BY_ITSELF, now),
        "credentials.encryptedLogin": "$$REMOVE",
        "sync.failures": 0,
        "sync.outages": 0,
        "sync.run": x.keep_or_remove(active, run),
        "sync.dueAt": x.keep_or_remove(active, now),
    }


def session_ended(status: str) -> Document:
    """The end of a session, by what the document says of its beginning."""
    now = utc_now()
    connected_at = "$connectionDetails.connectedAt"
    lasted = {"$floor": {"$divide": [{"$subtract": [now, connected_at]}, x.MINUTE_MS]}}
    minutes = {"$max": [0, {"$toInt": lasted}]}  # workers' clocks differ a little
    began = {"$and": [x.IS_LIVE, {"$eq": [{"$type": connected_at}, "date"]}]}
    return {
        "connectionStatus": status,
        "connectionDetails.sessionDuration": x.when(
            began, minutes, {"$ifNull": ["$connectionDetails.sessionDuration", 0]}
        ),
        "connectionDetails.disconnectedAt": x.when(
            x.IS_LIVE, now, {"$ifNull": ["$connectionDetails.disconnectedAt", now]}
        ),
        "sessionId": "$$REMOVE",
        "session.checkAt": "$$REMOVE",
        "failing": "$$REMOVE",
        "credentials": "$$REMOVE" if status == "disconnected" else "$credentials",
        "sync.fence": x.plus_one("sync.fence"),
        **NO_SYNCS,
    }
