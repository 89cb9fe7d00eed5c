"""A device or session helps with the account of its own user, and is a stranger's with any other name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, cast

import pytest

from server.core.errors import RateLimited
from server.core.users import User
from server.domains.identity.credentials.accounts.model import Phone
from server.domains.identity.credentials.lockout import known
from server.domains.identity.credentials.lockout.addresses import MANY_OF_ADDRESS
from server.domains.identity.credentials.lockout.known import KnownCallers
from server.domains.identity.credentials.lockout.model import ATTEMPTS, Name
from server.domains.identity.credentials.passwords.hashing import PasswordHashing, Place
from server.domains.identity.credentials.passwords.scheme import PasswordScheme
from server.domains.identity.credentials.phones.owners import PhoneOwners
from server.domains.identity.errors import AccountLocked, LoginFailed
from server.domains.identity.sessions.model import Caller
from server.domains.identity.signin.login import PasswordLogin
from server.domains.identity.signin.model import Login, Named
from server.domains.users.service import UserDirectory
from tests.domains.identity.lockout.test_addresses import ELSEWHERE, sprayed
from tests.domains.identity.lockout.world import HERE, World, as_actor
from tests.domains.identity.passwords.stepping import POLICY

NUMBER = "+919876543210"


@dataclass
class Asked:
    """The questions that are put to a directory of users."""

    users: UserDirectory
    questions: list[tuple[str, str]] = field(default_factory=list)

    async def find(self, field: str, value: str) -> User | None:
        self.questions.append((field, value))
        return await self.users.find(field, value)


async def test_a_device_is_known_by_each_name_of_its_user(world: World) -> None:
    ann, bob = await world.user("ann"), await world.user("bob")
    phone = Phone(number=NUMBER, proved_at=world.clock.at)
    set_phone = partial(world.accounts.set_phone, ann.id, "ann", phone)
    await world.database.transact(set_phone)
    token = world.devices.make(ann.id, 0)
    own = [Name("username", "ann"), Name("email", "ann@example.com"), Name("phone", NUMBER)]
    for name in own:
        device = await world.known.device(token, name)
        assert device is not None
        assert device.user == ann.id
        for other in (None, "", "fld_" + "A" * 88, world.devices.make(bob.id, 0)):
            assert await world.known.device(other, name) is None
    for name in (Name("email", "bob@example.com"), Name("email", "ann"), Name("username", "x")):
        assert await world.known.device(token, name) is None


async def test_a_device_is_known_until_its_user_is_another(world: World) -> None:
    ann = await world.user("ann")
    token, name = world.devices.make(ann.id, 0), Name("username", "ann")
    await world.database.transact(partial(world.accounts.forget_devices, ann.id))
    assert await world.known.device(token, name) is None
    newer = world.devices.make(ann.id, 1)
    assert await world.known.device(newer, name) is not None
    # Somebody else takes a name that is free again.
    await world.database.transact(partial(world.users.archive, "ann"))
    await world.user("ann")
    assert await world.known.device(newer, name) is None


async def test_nobody_but_the_devices_own_user_is_looked_up(world: World) -> None:
    """So neither reply nor time says whether a name exists."""
    ann, _ = await world.user("ann"), await world.user("bob")
    asked = Asked(UserDirectory(world.users))
    known = KnownCallers(cast("Any", asked), world.accounts, world.devices, world.addresses)
    token = world.devices.make(ann.id, 0)
    for name in ("bob", "nobody"):
        assert await known.device(token, Name("username", name)) is None
    assert asked.questions == [("id", ann.id)] * 2


async def test_a_refused_address_is_open_to_its_users_for_themselves(world: World) -> None:
    ann, bob = await world.user("ann"), await world.user("bob")
    token = world.devices.make(ann.id, 0)
    anns, bobs = (known.named(Name("username", name)) for name in ("ann", "bob"))

    async def passes(about: known.About, token: str | None, session: str | None) -> str | None:
        check = partial(world.known.check_address, token, session, about)
        return await as_actor(HERE, check)

    for about in (anns, bobs, known.nobody):
        assert await passes(about, None, None) is None
    await sprayed(world, MANY_OF_ADDRESS)
    assert await passes(anns, token, None) == ann.id
    assert await passes(anns, None, ann.id) == ann.id
    assert await passes(bobs, token, bob.id) == bob.id
    for about in (bobs, known.nobody, known.named(Name("username", "nobody"))):
        with pytest.raises(RateLimited) as caught:
            await passes(about, token, ann.id)
        assert caught.value.retry_after == timedelta(minutes=15)


@dataclass
class Noted:
    """Password hashing that notes which callers it takes for known ones."""

    scheme: PasswordScheme
    hashing: PasswordHashing
    known: list[bool] = field(default_factory=list)

    @asynccontextmanager
    async def place(self, *, known_device: bool) -> AsyncIterator[Place]:
        self.known.append(known_device)
        async with self.hashing.place(known_device=known_device) as place:
            yield place


@pytest.fixture
async def hashing() -> AsyncIterator[Noted]:
    scheme = PasswordScheme({"1": bytes(32)}, "1", 4)
    hashing = PasswordHashing(scheme, POLICY)
    yield Noted(scheme, hashing)
    await hashing.stop()


def logins(world: World, hashing: Noted) -> PasswordLogin:
    users, nothing = UserDirectory(world.users), cast("Any", None)
    phones = PhoneOwners(users, world.accounts, nothing, world.clock)
    return PasswordLogin(
        users, world.accounts, phones, cast("Any", hashing), world.lockout, world.known, nothing,
        needs_verified_email=False,
    )  # fmt: skip


async def login(
    logins: PasswordLogin, kind: Named, name: str, token: str | None, actor: Any = HERE
) -> None:
    """With a wrong password."""
    sent = Login(kind, name, "wrong", "token", Caller("192.0.2.1", None), token)
    await as_actor(actor, partial(logins.login, sent))


async def test_an_own_device_passes_no_limit_of_other_names(world: World, hashing: Noted) -> None:
    """An attacker has an account and a device, and tries the passwords of others."""
    attacker, _ = await world.user("attacker"), await world.user("victim")
    token = world.devices.make(attacker.id, 0)
    way = logins(world, hashing)
    for number in range(MANY_OF_ADDRESS):
        with pytest.raises(LoginFailed):
            await login(way, "username", f"name{number}", token)
    for name in ("victim", "nobody"):
        for kind, typed in (("username", name), ("email", f"{name}@example.com")):
            with pytest.raises(RateLimited):
                await login(way, cast("Named", kind), typed, token)
    assert set(hashing.known) == {False}
    # The attacker's own account is another matter.
    with pytest.raises(LoginFailed):
        await login(way, "username", "attacker", token)
    assert hashing.known[-1] is True
    # From other addresses the names are locked as if there were no device.
    for name in ("victim", "nobody"):
        for _ in range(ATTEMPTS):
            with pytest.raises(LoginFailed):
                await login(way, "username", name, token, ELSEWHERE)
        with pytest.raises(AccountLocked):
            await login(way, "username", name, token, ELSEWHERE)
