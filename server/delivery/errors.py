"""Errors of messages: for the caller who wants one sent, and for the worker that sends it."""

from datetime import timedelta

from server.core.errors import ApiError


class DeliveryUnavailable(ApiError):
    """No channel is configured for what has to be sent, or its hourly allowance is used up."""

    code = "DELIVERY_UNAVAILABLE"
    default_message = "Messages cannot be sent now; try again later"


class NotSent(Exception):
    """A try to send a message failed; a later one may work. The text is a code without an address."""

    def __init__(self, code: str, retry_after: timedelta | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.retry_after = retry_after  # as the other end asked


class Refused(NotSent):
    """The other end does not take this message, now or later."""
