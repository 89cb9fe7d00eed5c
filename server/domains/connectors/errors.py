"""The errors of connectors."""

from server.core.errors import ApiError


class ConnectorNotFound(ApiError):
    code = "CONNECTOR_NOT_FOUND"
    default_message = "Connector not found"


class ConnectionNotFound(ApiError):
    code = "CONNECTION_NOT_FOUND"
    default_message = "No connection found for this platform"


class SyncNotFound(ApiError):
    code = "SYNC_NOT_FOUND"
    default_message = "Sync not found"


class AlreadyConnected(ApiError):
    code = "ALREADY_CONNECTED"
    default_message = "Already connected to this platform"


class NotConnected(ApiError):
    code = "NOT_CONNECTED"
    default_message = "The connector is disconnected; connect it again"


class ReauthRequired(ApiError):
    """`metadata.loginUrl` is where the user must log in, if there is a page."""

    code = "REAUTH_REQUIRED"
    default_message = "The platform wants a new login"

    def __init__(self, login_url: str | None = None) -> None:
        super().__init__(metadata={"loginUrl": login_url} if login_url else None)


class InvalidCredentials(ApiError):
    code = "INVALID_CREDENTIALS"
    default_message = "Invalid credentials"


class PlatformNotAvailable(ApiError):
    code = "PLATFORM_UNAVAILABLE"
    default_message = "The platform cannot be reached; try again shortly"
