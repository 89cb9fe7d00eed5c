"""Callers who are known: by the device on which a user has signed in, or by a session that goes on.

It helps with the account of that user alone. With the names of others who has an account is a stranger as
well: else anybody could get around the limits of strangers by registering.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from server.core.users import User
from server.domains.identity.credentials.accounts.model import Account
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.lockout.addresses import AddressGuard
from server.domains.identity.credentials.lockout.devices import Device, DeviceTokens
from server.domains.identity.credentials.lockout.model import Name
from server.domains.identity.credentials.lockout.names import names_of
from server.kernel import Users

# Whether a call is about this user, as whom its caller is known.
About: TypeAlias = Callable[[User, Account | None], Awaitable[bool]]


@dataclass(frozen=True)
class KnownCallers:
    """Only the users are looked up as whom a caller is known, so no caller learns whether another exists."""

    _users: Users
    _accounts: AccountStore
    _devices: DeviceTokens
    _addresses: AddressGuard

    async def device(self, token: str | None, name: Name) -> Device | None:
        """The device of a token, if who has signed in on it is the user of this name."""
        device = self._devices.read(token) if token else None
        found = await self._of_device(device) if device else None
        return device if found and name in names_of(*found) else None

    async def check_address(
        self, token: str | None, signed_in: str | None, is_about: About
    ) -> str | None:
        """Raises RateLimited from an address where many logins have failed, unless the caller is known.

        `token` is that of a device, `signed_in` the `User.id` of the session. Returns the `User.id` as whom
        the caller passes, where strangers do not; None if everybody does.
        """
        refusal = await self._addresses.refusal()
        if refusal is None:
            return None
        for user, account in await self._known_as(token, signed_in):
            if await is_about(user, account):
                return user.id
        raise refusal

    async def _known_as(
        self, token: str | None, signed_in: str | None
    ) -> Sequence[tuple[User, Account | None]]:
        known: list[tuple[User, Account | None]] = []
        user = await self._users.find("id", signed_in) if signed_in else None
        if user is not None:
            known.append((user, await self._accounts.of(user.id)))
        device = self._devices.read(token) if token else None
        found = await self._of_device(device) if device else None
        return [*known, found] if found else known

    async def _of_device(self, device: Device) -> tuple[User, Account] | None:
        """Who has signed in on a device; None if that has ended since."""
        account = await self._accounts.of(device.user)
        user = await self._users.find("id", device.user)
        if user is None or account is None or not device.is_of(account):
            return None
        return user, account


async def nobody(user: User, account: Account | None) -> bool:
    """The call is about no user that there is."""
    return False


def named(name: Name) -> About:
    """The call is about the user of a name that was typed."""

    async def is_about(user: User, account: Account | None) -> bool:
        return name in names_of(user, account)

    return is_about


def oneself(signed_in: str) -> About:
    """The call is about the user of a session, by `User.id`."""

    async def is_about(user: User, account: Account | None) -> bool:
        return user.id == signed_in

    return is_about


def owner(find: Callable[[], Awaitable[str | None]]) -> About:
    """The call is about the user of whom a secret is: `find` returns the `User.id`, if it is anybody's."""

    async def is_about(user: User, account: Account | None) -> bool:
        return user.id == await find()

    return is_about


def linked(provider: str) -> About:
    """The call is about a user who signs in at a provider."""

    async def is_about(user: User, account: Account | None) -> bool:
        return account is not None and provider in account.providers

    return is_about
