"""A moderator acts on users, not on staff, also when looking on behalf of somebody; and may look at all."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from server.core.clock import utc_now
from server.core.errors import ApiError, PermissionDenied
from server.core.principals import Principal, Represented, Role, SignedIn
from server.rpc.call import Call, Context, enter_call
from server.rpc.method import Method
from server.rpc.middleware.ownership import Ownership
from tests.contract.descriptors import methods

BY_NAME = {method.descriptor.name: method for method in methods()}
GET_USER, SET_STATUS, LIST_SESSIONS = (
    BY_NAME[name] for name in ("GetUser", "UpdateUserStatus", "ListUserSessions")
)
ROLES = {"ann": Role.USER, "chief": Role.ADMIN, "helper": Role.MODERATOR}


async def _role_of(user_id: str) -> Role | None:
    return ROLES.get(user_id)


def viewed(owner: str) -> Method:
    """A read that staff may make on a user's behalf; `owner` is the field that names the user."""
    method = copy(GET_USER)
    method.access = replace(GET_USER.access, role=None, owner=owner, staff_reads=True)
    return method


async def reaches(
    method: Method, caller: Role, user_id: str, behalf: str | None = None
) -> ApiError | None:
    """The error of a call, if it does not reach the servicer."""

    async def end(request: Any, context: Context) -> Any:
        return request

    later = utc_now() + timedelta(minutes=1)
    signed_in = SignedIn("me", "me", "s", caller, "token", ("pwd",), utc_now(), later)
    represented = Represented(behalf, behalf) if behalf else None
    enter_call(
        Call(method.path, "id", None, "peer", principal=Principal(None, signed_in, represented))
    )
    handle = Ownership({}, _role_of)(method, end)
    try:
        await handle(method.request_class(user_id=user_id), cast("Context", None))
    except ApiError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("method", "caller", "user_id", "may"),
    [
        # Lists show them all to a moderator, and so does a read of one.
        *((GET_USER, Role.MODERATOR, each, True) for each in ("ann", "nobody", "chief", "helper")),
        (GET_USER, Role.MODERATOR, "me", True),
        (GET_USER, Role.ADMIN, "chief", True),
        (GET_USER, Role.USER, "ann", False),
        (GET_USER, Role.USER, "me", True),
        (SET_STATUS, Role.MODERATOR, "ann", True),
        (SET_STATUS, Role.MODERATOR, "nobody", True),  # which the servicer reports
        (SET_STATUS, Role.MODERATOR, "chief", False),
        (SET_STATUS, Role.MODERATOR, "helper", False),
        (SET_STATUS, Role.ADMIN, "chief", True),
        # Only staff may make this call at all, though it reads.
        (LIST_SESSIONS, Role.MODERATOR, "ann", True),
        (LIST_SESSIONS, Role.MODERATOR, "chief", False),
        (LIST_SESSIONS, Role.ADMIN, "chief", True),
    ],
    ids=lambda value: value.descriptor.name if isinstance(value, Method) else str(value),
)
async def test_whom_staff_reach(method: Method, caller: Role, user_id: str, may: bool) -> None:
    error = await reaches(method, caller, user_id)
    assert (error is None) is may
    assert may or isinstance(error, PermissionDenied)


@pytest.mark.parametrize("owner", ["", "user_id"])
@pytest.mark.parametrize(
    ("caller", "behalf", "may"),
    [
        (Role.MODERATOR, "ann", True),
        (Role.MODERATOR, "chief", False),
        (Role.ADMIN, "chief", True),
    ],
)
async def test_for_whom_staff_look(owner: str, caller: Role, behalf: str, may: bool) -> None:
    error = await reaches(viewed(owner), caller, behalf, behalf)
    assert (error is None) is may
