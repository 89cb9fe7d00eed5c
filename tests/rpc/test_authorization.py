"""What each kind of caller may do, by the rules alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.core.access import ApiKey, Scope
from server.core.authorization import (
    RECENT_LOGIN,
    Access,
    Reach,
    admit,
    check_owner,
    check_recent_login,
    may_reach,
)
from server.core.clock import utc_now
from server.core.errors import ApiError, PermissionDenied, RecentLoginRequired, Unauthenticated
from server.core.principals import NOBODY, Principal, Represented, Role, SignedIn

NOW = utc_now()
RECENT = timedelta(minutes=10)
MORE = RECENT + timedelta(milliseconds=1)


def key(scope: Scope) -> Principal:
    return Principal(ApiKey("app", scope, "digest"))


def user(role: Role = Role.USER, *, since: timedelta = timedelta(0)) -> SignedIn:
    return SignedIn("1", "ann", "s", role, "token", ("pwd",), NOW - since, NOW + RECENT)


READ, WRITE, ADMIN = map(key, Scope)
ANN = Principal(signed_in=user())
MODERATOR, CHIEF = (Principal(signed_in=user(role)) for role in (Role.MODERATOR, Role.ADMIN))
ANN_LATE = Principal(signed_in=user(since=timedelta(minutes=11)))
FOR_ANN = Represented("1", "ann")
WRITE_FOR_ANN = Principal(WRITE.key, on_behalf_of=FOR_ANN)
READ_FOR_ANN = Principal(READ.key, on_behalf_of=FOR_ANN)
OPEN_FOR_ANN = Principal(on_behalf_of=FOR_ANN, is_open=True)
READ_WITH_CHIEF = Principal(READ.key, CHIEF.signed_in)

public = Access(Scope.WRITE, Reach.PUBLIC)
keys_only = Access(Scope.READ, Reach.NONE, reads=True)
own = Access(Scope.READ, Reach.SELF, reads=True)
own_change = Access(Scope.WRITE, Reach.SELF, in_person=True)
read = Access(Scope.READ, Reach.SELF, Role.MODERATOR, "user_id", reads=True)
change = Access(Scope.WRITE, Reach.SELF, Role.ADMIN, "user_id")
delete = Access(Scope.WRITE, Reach.SELF, Role.ADMIN, "user_id", recent_login=RECENT)
staff = Access(Scope.READ, Reach.ROLE, Role.MODERATOR, reads=True)
viewed = Access(Scope.READ, Reach.SELF, owner="user_id", reads=True, staff_reads=True)


@pytest.mark.parametrize(
    ("access", "principal"),
    [
        *((public, each) for each in (NOBODY, READ, ANN, ANN_LATE)),
        *((keys_only, each) for each in (READ, WRITE, ADMIN)),
        *((own, each) for each in (ANN, ANN_LATE, CHIEF, WRITE_FOR_ANN, OPEN_FOR_ANN)),
        (own_change, ANN),
        *((read, each) for each in (READ, ANN, MODERATOR, WRITE_FOR_ANN, READ_WITH_CHIEF)),
        *((change, each) for each in (WRITE, ANN, WRITE_FOR_ANN, OPEN_FOR_ANN)),
        *((delete, each) for each in (WRITE, ANN, CHIEF)),
        *((staff, each) for each in (READ, MODERATOR, CHIEF, READ_WITH_CHIEF)),
        *((viewed, each) for each in (READ_FOR_ANN, WRITE_FOR_ANN)),
        (viewed, Principal(signed_in=MODERATOR.signed_in, on_behalf_of=FOR_ANN)),
    ],
)
def test_these_are_let_in(access: Access, principal: Principal) -> None:
    admit(access, principal, NOW)


@pytest.mark.parametrize(
    ("access", "principal", "error"),
    [
        (keys_only, ANN, PermissionDenied),
        (keys_only, WRITE_FOR_ANN, PermissionDenied),
        (own, READ, Unauthenticated),
        (own, ADMIN, Unauthenticated),
        (own, READ_FOR_ANN, PermissionDenied),
        (own_change, WRITE_FOR_ANN, PermissionDenied),
        (change, READ, PermissionDenied),
        (change, READ_WITH_CHIEF, PermissionDenied),  # the lesser right counts
        (delete, ANN_LATE, RecentLoginRequired),
        (delete, WRITE_FOR_ANN, PermissionDenied),
        (staff, ANN, PermissionDenied),
        (staff, WRITE_FOR_ANN, PermissionDenied),
        (read, READ_FOR_ANN, PermissionDenied),
        (read, Principal(signed_in=CHIEF.signed_in, on_behalf_of=FOR_ANN), PermissionDenied),
        (viewed, Principal(signed_in=ANN.signed_in, on_behalf_of=FOR_ANN), PermissionDenied),
    ],
)
def test_these_are_refused(access: Access, principal: Principal, error: type[ApiError]) -> None:
    with pytest.raises(error):
        admit(access, principal, NOW)


def test_the_error_says_for_how_long_a_login_is_recent() -> None:
    with pytest.raises(RecentLoginRequired) as caught:
        admit(delete, ANN_LATE, NOW)
    assert caught.value.metadata == {"maxAge": "600"}


def test_a_login_is_recent_for_ten_minutes_unless_a_call_says_otherwise() -> None:
    assert RECENT_LOGIN == RECENT
    check_recent_login(user(since=RECENT), NOW)
    with pytest.raises(RecentLoginRequired) as caught:
        check_recent_login(user(since=MORE), NOW)
    assert caught.value.metadata == {"maxAge": "600"}
    check_recent_login(user(since=MORE), NOW, within=MORE)


@pytest.mark.parametrize(
    ("access", "principal", "owner", "may"),
    [
        (read, READ, "bob", True),
        (read, NOBODY, "bob", True),  # whoever is let in without a credential is no user
        (read, ANN, "ann", True),
        (read, ANN, "bob", False),
        (read, ANN, None, False),
        (read, MODERATOR, "bob", True),
        (read, MODERATOR, None, True),
        (change, MODERATOR, "bob", False),
        (change, CHIEF, "bob", True),
        (change, WRITE_FOR_ANN, "ann", True),
        (change, WRITE_FOR_ANN, "bob", False),
        (viewed, CHIEF, "bob", False),  # staff say for whom they look
        (own, ANN, None, True),
        (staff, MODERATOR, "bob", True),
    ],
)
def test_whose_data_it_is(
    access: Access, principal: Principal, owner: str | None, may: bool
) -> None:
    assert may_reach(access, principal, owner) is may
    if may:
        check_owner(access, principal, owner)
    else:
        with pytest.raises(PermissionDenied):
            check_owner(access, principal, owner)


def test_each_caller_has_a_scope_of_its_own() -> None:
    callers = [NOBODY, READ, ANN, WRITE_FOR_ANN, READ_WITH_CHIEF, OPEN_FOR_ANN]
    assert len({each.scope for each in callers}) == len(callers)
