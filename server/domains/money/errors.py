"""Errors of a user's money that are not of one part alone."""

from server.core.errors import ApiError


class ExchangeRateNotFound(ApiError):
    """Of a base, so that nothing can be said against it."""

    code = "EXCHANGE_RATE_NOT_FOUND"
    default_message = "No exchange rate of the base is known for this day"


class LimitReached(ApiError):
    code = "LIMIT_REACHED"
    default_message = "The user has as many of these as allowed"

    @classmethod
    def of(cls, limit: int) -> "LimitReached":
        return cls(metadata={"limit": str(limit)})
