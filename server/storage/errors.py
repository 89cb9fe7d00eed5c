"""Driver errors as the contract's errors."""

from pymongo import errors as mongo

from server.core.errors import ApiError, Unavailable

# Failures of the way to the database, or of its state, that pass by themselves.
_PASSING: tuple[type[mongo.PyMongoError], ...] = (
    mongo.ConnectionFailure,  # AutoReconnect, NetworkTimeout, NotPrimary, ServerSelectionTimeout
    mongo.ExecutionTimeout,
    mongo.WTimeoutError,
    mongo.WaitQueueTimeoutError,
)
# Of a member that is about to join or to be elected; the driver has no type for it.
_NO_SESSIONS = "Sessions are not supported"


def translate(raised: BaseException) -> ApiError | None:
    """The ApiError a driver error stands for, or None where it is no passing failure."""
    no_sessions = isinstance(raised, mongo.ConfigurationError) and _NO_SESSIONS in str(raised)
    if no_sessions or isinstance(raised, _PASSING):
        return Unavailable()
    if isinstance(raised, mongo.PyMongoError):
        passing = raised.timeout or any(
            raised.has_error_label(label)
            for label in ("TransientTransactionError", "RetryableWriteError")
        )
        return Unavailable() if passing else None
    return None
