"""The SMS that may be sent: to a number, from an address, and in all.

Limits are the same for numbers that somebody has and that nobody has, and count SMS that are not sent as
well, so that nobody learns from them which numbers are known.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from server.core.clock import Clock
from server.core.errors import RateLimited
from server.delivery.errors import DeliveryUnavailable
from server.domains.identity.credentials.lockout.addresses import calling_network
from server.domains.identity.credentials.lockout.model import wait_until
from server.domains.identity.credentials.phones import metrics
from server.domains.identity.credentials.phones.model import PER_NUMBER
from server.domains.identity.credentials.phones.store import SmsCountStore

_OF_NUMBER = "Too many codes were sent to this number; try again later"
_OF_ADDRESS = "Codes were sent to too many numbers from this address; try again later"
_log = structlog.stdlib.get_logger("finlink.identity")


class SmsLimits:
    def __init__(self, store: SmsCountStore, clock: Clock, per_hour: int) -> None:
        """`per_hour`: SMS_PER_HOUR."""
        self._store = store
        self._clock = clock
        self._per_hour = per_hour

    async def take(self, number: str) -> timedelta:
        """Count an SMS to a number, for the address of the current call; how long until the next may be sent.

        Raises RateLimited; DeliveryUnavailable if all that may be sent in an hour has been.
        """
        now = self._clock.now()
        address = calling_network()
        if address is not None:
            until = await self._store.take_of_address(address, number, now)
            if until is not None:
                raise refused(_OF_ADDRESS, until, now)
        passes, sent = await self._store.take_of_number(number, now)
        if not passes:
            raise refused(_OF_NUMBER, next_at(sent), now)
        if not await self._store.take_of_all(self._per_hour, now):
            metrics.OTPS.labels("unavailable").inc()
            _log.warning("no SMS is sent: SMS_PER_HOUR is used up")
            raise DeliveryUnavailable
        return wait_until(next_at(sent), now)


def refused(message: str, until: datetime, now: datetime) -> RateLimited:
    metrics.OTPS.labels("limited").inc()
    return RateLimited(message, retry_after=wait_until(until, now))


def next_at(sent: Sequence[datetime]) -> datetime:
    """When the next SMS may be sent to a number, by when those before were: at least one, oldest first."""
    return max(sent[-most] + within for within, most in PER_NUMBER if len(sent) >= most)
