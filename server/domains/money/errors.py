"""The errors of money."""

from server.core.errors import ApiError


class ExchangeRateNotFound(ApiError):
    """Of a base, so that nothing can be said against it."""

    code = "EXCHANGE_RATE_NOT_FOUND"
    default_message = "No exchange rate of the base is known for this day"
