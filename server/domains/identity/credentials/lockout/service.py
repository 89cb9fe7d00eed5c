"""Lockout: after too many failures no further password, or second factor, is tried for a while."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from server.core.clock import Clock
from server.core.events import Event
from server.domains.identity.credentials.lockout.addresses import AddressGuard
from server.domains.identity.credentials.lockout.model import (
    AUDITED_EACH,
    OWNER_NOTIFIED_AT,
    Failed,
    Locked,
    Name,
    wait_until,
)
from server.domains.identity.credentials.lockout.store import LoginFailureStore
from server.domains.identity.errors import AccountLocked
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.identity")

_SECOND_FACTOR = "secondFactor"
_SECOND_FACTORS_LOCKED = "Too many second factors were wrong; try again later"
_LOCKED_UNTIL_CLEARED = "Too many second factors were wrong; use a recovery code"


class Lockout:
    """Of passwords, by name. It does the same whether or not anybody has the name."""

    def __init__(
        self,
        store: LoginFailureStore,
        addresses: AddressGuard,
        changes: RecordedChanges,
        clock: Clock,
    ) -> None:
        self._store = store
        self._addresses = addresses
        self._changes = changes
        self._clock = clock

    async def attempt(self, name: Name) -> None:
        """Count an attempt, before its password is hashed: `failed` or `succeeded` says how it ended.

        Raises AccountLocked. Raises RateLimited from an address where many names have failed, unless a
        device or session is known.
        """
        if not name.is_known:
            await self._addresses.check()
        now = self._clock.now()
        locked = await self._store.attempt(name, now)
        if locked is not None and locked.until is not None:
            raise AccountLocked(retry_after=wait_until(locked.until, now))

    async def failed(self, name: Name, user_id: str | None) -> None:
        """The password was wrong. `user_id` is the `userId` of who has the name, for the audit trail."""
        failed = await self._store.failed(name, self._clock.now())
        if failed is not None:
            await _record(self._changes, failed, user_id, name.kind)
        if not name.is_known:
            await self._addresses.failed(name)

    async def succeeded(self, name: Name, session: ClientSession | None = None) -> None:
        """Forget the failures of a name, in the transaction of the login."""
        await self._store.clear(name, session)

    async def clear_user(
        self, user: str, names: Sequence[Name], session: ClientSession | None = None
    ) -> None:
        """Forget the failures of all names, devices and sessions of a `User.id`."""
        await self._store.clear_user(user, names, session)


class SecondFactorLockout:
    """Of second factors, by `User.id`. Codes that cannot be guessed need not be counted."""

    def __init__(self, store: LoginFailureStore, changes: RecordedChanges, clock: Clock) -> None:
        self._store = store
        self._changes = changes
        self._clock = clock

    async def attempt(self, user: str) -> None:
        """Count an attempt, before its code is compared. Raises AccountLocked."""
        now = self._clock.now()
        locked = await self._store.second_factor_attempt(user, now)
        if locked is not None:
            raise _second_factors_locked(locked, now)

    async def failed(self, user: str, user_id: str) -> bool:
        """The code was wrong. Returns whether the owner is to be notified, which is once."""
        failed = await self._store.second_factor_failed(user)
        if failed is None:
            return False
        await _record(self._changes, failed, user_id, _SECOND_FACTOR)
        return failed.count == OWNER_NOTIFIED_AT

    async def clear(self, user: str, session: ClientSession | None = None) -> None:
        """Forget the failures: after a success, also by a recovery code, or as an admin wants it."""
        await self._store.clear_second_factors(user, session)


def _second_factors_locked(locked: Locked, now: datetime) -> AccountLocked:
    if locked.until is None:
        return AccountLocked(_LOCKED_UNTIL_CLEARED)
    return AccountLocked(_SECOND_FACTORS_LOCKED, retry_after=wait_until(locked.until, now))


async def _record(
    changes: RecordedChanges, failed: Failed, user_id: str | None, factor: str
) -> None:
    """One event for several failures, so that no flood of them can bury the trail."""
    if failed.count % AUDITED_EACH == 0:
        event = Event("login.failed", user_id, fields=(factor,), count=failed.count)
        await changes.record(event)
    if failed.locks:
        _log.warning("logins locked", user_id=user_id, factor=factor)
        await changes.record(Event("login.locked", user_id, fields=(factor,)))
