"""Addresses from which the logins of many names fail: they may not try more for a while.

An address with an API key is a service's, behind which are many users: it is not counted.
"""

from datetime import timedelta

import structlog

from server.core.addresses import network_of
from server.core.clock import Clock
from server.core.errors import RateLimited
from server.core.events import Event, current_actor
from server.domains.identity.credentials.lockout.model import Name, wait_until
from server.domains.identity.credentials.lockout.store import LoginFailureStore
from server.observability.metrics import SUSPICIOUS
from server.storage.changes import RecordedChanges

_log = structlog.stdlib.get_logger("finlink.identity")

SUSPICION = "suspicious.login_failures"
WITHIN = timedelta(minutes=10)
MANY_OF_ADDRESS = 50  # names
MANY_IN_ALL = 500
# During an attack from many addresses. Fewer would be a household that mistypes.
MANY_OF_ADDRESS_THEN = 5
STOP = timedelta(minutes=15)
_REFUSED = "Too many logins have failed from this address; try again later"


class AddressGuard:
    """For logins by a name that was typed, from the address of the current call."""

    def __init__(self, store: LoginFailureStore, changes: RecordedChanges, clock: Clock) -> None:
        self._store = store
        self._changes = changes
        self._clock = clock
        SUSPICIOUS.labels(SUSPICION)

    async def check(self) -> None:
        """Raises RateLimited while the address is refused."""
        if (refusal := await self.refusal()) is not None:
            raise refusal

    async def refusal(self) -> RateLimited | None:
        """The error of the calls of strangers while the address is refused."""
        address = calling_network()
        until = await self._store.refused_until(address) if address is not None else None
        now = self._clock.now()
        if until is None or until <= now:
            return None
        return RateLimited(_REFUSED, retry_after=wait_until(until, now))

    async def failed(self, name: Name) -> None:
        """Note that a name, which the store has counted as failed, failed from this address."""
        now = self._clock.now()
        failing = await self._store.failing_names(now - WITHIN, MANY_IN_ALL)
        is_everywhere = failing >= MANY_IN_ALL
        if is_everywhere and await self._store.first_alarm(now, WITHIN):
            _log.warning("logins of many names fail")
            await self._report()
        address = calling_network()
        if address is None:
            return
        most = MANY_OF_ADDRESS_THEN if is_everywhere else MANY_OF_ADDRESS
        if await self._store.failed_from(address, name, now, within=WITHIN, most=most, stop=STOP):
            _log.warning("address refused: logins of many names failed", address=address)
            if not is_everywhere:  # that was recorded, once for all its addresses
                await self._report()

    async def _report(self) -> None:
        SUSPICIOUS.labels(SUSPICION).inc()
        await self._changes.record(Event(SUSPICION))


def calling_network() -> str | None:
    """The network that the current call comes from; None of a service, whose address many users share."""
    actor = current_actor()
    return None if actor.address is None or actor.key is not None else network_of(actor.address)
