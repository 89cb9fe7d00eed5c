"""A refused address may make no call of the limit group of signing in, but about the caller's own account."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import pytest

from server.core.clock import utc_now
from server.core.errors import RateLimited
from server.core.principals import NOBODY, Principal, Role, SignedIn
from server.core.users import User
from server.domains.identity.credentials.lockout.addresses import MANY_OF_ADDRESS
from server.domains.identity.management.auth.servicer import AuthServicer
from server.domains.identity.signin.cookies import Cookies
from server.rpc.call import COOKIE, Call, enter_call
from server.rpc.method import Method
from tests.contract.descriptors import methods
from tests.domains.identity.lockout.test_addresses import ELSEWHERE, sprayed
from tests.domains.identity.lockout.world import HERE, World, as_actor

# Login asks by itself, as soon as it knows whose device it is: `test_known.py`.
# The others continue what a call has begun that was let through.
NOT_ASKED = {"Login", "VerifySecondFactor", "CompleteExternal"}
CALLS = [
    method
    for method in methods()
    if method.rate_limit_group == "auth" and method.descriptor.name not in NOT_ASKED
]
# Each in the forms in which it says which account it is about; `ann@example.com` and `anns` are Ann's.
FORMS: Mapping[str, list[dict[str, str]]] = {
    "Register": [{"email": "ann@example.com", "password": "x"}],
    "ForgotPassword": [{"email": "Ann@example.com"}],
    "ResetPassword": [{"email": "Ann@example.com"}, {"token": "anns", "password": "x"}],
    "SendVerification": [{"email": "Ann@example.com"}],
    "VerifyEmail": [{"token": "anns"}],
    "StartExternal": [{"provider": "one"}],
}


class Reached(Exception):
    """The call was let through."""


class _Behind:
    """Whatever is behind the servicer; it knows whose a token is, and begins logins at providers."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._tokens = tokens
        self.only: object = "not begun"

    async def owner(self, token: str) -> str | None:
        return self._tokens.get(token)

    async def start(self, *arguments: object) -> None:
        self.only = arguments[-1]
        raise Reached

    def __getattr__(self, name: str) -> Any:
        raise Reached


async def call(
    world: World,
    method: Method,
    form: Mapping[str, str],
    behind: _Behind,
    headers: Mapping[str, str] | None = None,
    principal: Principal = NOBODY,
) -> None:
    parts: dict[str, Any] = {field.name: behind for field in dataclasses.fields(AuthServicer)}
    parts |= {"_cookies": Cookies(secure=True), "_origins": (), "_known": world.known}
    servicer = AuthServicer(**parts)
    enter_call(Call(method.path, "id", None, "peer", headers or {}, principal=principal))
    request = method.request_class(**form)
    await getattr(servicer, method.descriptor.name)(request, cast("Any", None))


def cookie(token: str) -> dict[str, str]:
    return {COOKIE: f"__Host-finlink_device={token}"}


def session(user: User) -> Principal:
    now = utc_now()
    signed_in = SignedIn(user.id, user.user_id, "s", Role.USER, "token", ("pwd",), now, now)
    return Principal(signed_in=signed_in)


def test_each_call_is_tried() -> None:
    assert {method.descriptor.name for method in CALLS} == set(FORMS)


async def test_each_is_refused_but_to_who_is_known_for_the_own_account(world: World) -> None:
    ann, bob = await world.user("ann"), await world.user("bob")
    unlink = partial(world.accounts.remove_externals, bob.id)
    await world.database.transact(unlink)
    await sprayed(world, MANY_OF_ADDRESS)
    behind = _Behind({"anns": ann.id})
    strangers = [
        ({}, NOBODY),
        (cookie("fld_" + "A" * 88), NOBODY),
        (cookie(world.devices.make(bob.id, 0)), NOBODY),
        (cookie(world.devices.make(ann.id, 1)), NOBODY),  # of an epoch that is not hers
        ({}, session(bob)),
    ]
    known = [(cookie(world.devices.make(ann.id, 0)), NOBODY), ({}, session(ann))]
    for method in CALLS:
        name = method.descriptor.name
        for form in FORMS[name]:
            tried = partial(call, world, method, form, behind)
            # A registration is about nobody that there is.
            refused = [*strangers, *known] if name == "Register" else strangers
            for headers, principal in refused:
                with pytest.raises(RateLimited):
                    await as_actor(HERE, partial(tried, headers, principal))
            for headers, principal in known if name != "Register" else ():
                with pytest.raises(Reached):
                    await as_actor(HERE, partial(tried, headers, principal))
            with pytest.raises(Reached):
                await as_actor(ELSEWHERE, tried)


async def test_names_and_tokens_of_others_and_of_nobody_are_refused_the_same(world: World) -> None:
    ann, bob = await world.user("ann"), await world.user("bob")
    await sprayed(world, MANY_OF_ADDRESS)
    behind = _Behind({"bobs": bob.id})
    forms = [{"email": f"{name}@example.com"} for name in ("bob", "nobody")]
    tokens = [{"token": token, "password": "x"} for token in ("bobs", "nobodys")]
    errors, device = set(), cookie(world.devices.make(ann.id, 0))
    (reset,) = [method for method in CALLS if method.descriptor.name == "ResetPassword"]
    for form in [*forms, *tokens]:
        with pytest.raises(RateLimited) as caught:
            await as_actor(HERE, partial(call, world, reset, form, behind, device, session(ann)))
        errors.add((str(caught.value), caught.value.retry_after))
    assert len(errors) == 1


async def test_a_session_may_ask_for_its_own_mail_and_link_a_provider(world: World) -> None:
    bob = await world.user("bob")
    await world.database.transact(partial(world.accounts.remove_externals, bob.id))
    await sprayed(world, MANY_OF_ADDRESS)
    by_name = {method.descriptor.name: method for method in CALLS}
    forms = {"SendVerification": {}, "StartExternal": {"provider": "one", "purpose": "link"}}
    for name, form in forms.items():
        own = partial(call, world, by_name[name], form, _Behind({}), {}, session(bob))
        with pytest.raises(Reached):
            await as_actor(HERE, own)


async def test_a_login_at_a_provider_is_for_the_devices_own_user(world: World) -> None:
    ann = await world.user("ann")
    device, behind = cookie(world.devices.make(ann.id, 0)), _Behind({})
    (start,) = [method for method in CALLS if method.descriptor.name == "StartExternal"]
    begin = partial(call, world, start, {"provider": "one"}, behind, device)
    with pytest.raises(Reached):
        await as_actor(HERE, begin)
    assert behind.only is None  # no limit is met: whoever comes back signs in
    await sprayed(world, MANY_OF_ADDRESS)
    with pytest.raises(Reached):
        await as_actor(HERE, begin)
    assert behind.only == ann.id
