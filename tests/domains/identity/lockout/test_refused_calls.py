"""A refused address may make no call of the limit group of signing in, unless a device or user is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import pytest

from server.core.clock import utc_now
from server.core.errors import RateLimited
from server.core.principals import NOBODY, Principal, Role, SignedIn
from server.domains.identity.credentials.lockout.addresses import MANY_OF_ADDRESS
from server.domains.identity.external.servicer import ExternalAuthServicer
from server.domains.identity.signin.cookies import Cookies
from server.rpc.call import COOKIE, Call, enter_call
from server.rpc.method import Method
from tests.contract.descriptors import methods
from tests.domains.identity.lockout.test_addresses import ELSEWHERE, sprayed
from tests.domains.identity.lockout.world import ANN, HERE, World, as_actor

# Login asks by itself, as soon as it knows whose device it is: `test_addresses.py`.
# The others continue what a call has begun that was let through.
NOT_ASKED = {"Login", "VerifySecondFactor", "CompleteExternal"}
CALLS = [
    method
    for method in methods()
    if method.rate_limit_group == "auth" and method.descriptor.name not in NOT_ASKED
]
SIGNED_IN = Principal(
    signed_in=SignedIn(ANN, "ann", "s", Role.USER, "token", ("pwd",), utc_now(), utc_now())
)


class Reached(Exception):
    """The call was let through."""


class _Behind:
    """Whatever is behind the servicer."""

    def __getattr__(self, name: str) -> Any:
        raise Reached


async def call(
    world: World,
    method: Method,
    headers: Mapping[str, str] | None = None,
    principal: Principal = NOBODY,
) -> None:
    behind = cast("Any", _Behind())
    parts: dict[str, Any] = {
        field.name: behind for field in dataclasses.fields(ExternalAuthServicer)
    }
    parts |= {"_cookies": Cookies(secure=True), "_origins": ()}
    parts |= {"_addresses": world.addresses, "_devices": world.devices}
    servicer = ExternalAuthServicer(**parts)
    enter_call(Call(method.path, "id", None, "peer", headers or {}, principal=principal))
    request = method.request_class()
    fields = method.request.fields_by_name
    for name in ("token", "password") if "token" in fields else ("email", "password"):
        if name in fields:
            setattr(request, name, "x")
    await getattr(servicer, method.descriptor.name)(request, None)


async def test_each_is_refused_but_to_who_is_known(world: World) -> None:
    await sprayed(world, MANY_OF_ADDRESS)
    device = {COOKIE: f"__Host-finlink_device={world.devices.make(ANN, 0)}"}
    made_up = {COOKIE: "__Host-finlink_device=fld_" + "A" * 88}
    assert {method.descriptor.name for method in CALLS} >= {"Register", "ForgotPassword"}
    for method in CALLS:
        for headers in ({}, made_up):
            with pytest.raises(RateLimited):
                await as_actor(HERE, partial(call, world, method, headers))
        for known in (
            partial(call, world, method, device),
            partial(call, world, method, {}, SIGNED_IN),
        ):
            with pytest.raises(Reached):
                await as_actor(HERE, known)
        with pytest.raises(Reached):
            await as_actor(ELSEWHERE, partial(call, world, method))
