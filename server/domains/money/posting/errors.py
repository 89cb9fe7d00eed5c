"""Errors of streams."""

from server.core.errors import ApiError


class StreamNotFound(ApiError):
    code = "STREAM_NOT_FOUND"
    default_message = "No such stream of bank rows in the account's currency"


class AccountLinked(ApiError):
    code = "ACCOUNT_LINKED"
    default_message = "A connector's stream flows into the account already"
