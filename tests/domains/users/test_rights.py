"""Which fields of a user each kind of caller may change."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.core.access import ApiKey, Scope
from server.core.clock import utc_now
from server.core.errors import PermissionDenied
from server.core.principals import NOBODY, Principal, Represented, Role, SignedIn
from server.core.users import User
from server.domains.users.administration.model import UserChange
from server.domains.users.administration.rights import Rights, may_set_roles

NOW = utc_now()
ANN = User(id="0" * 24, user_id="ann", email="ann@example.com", created_at=NOW, updated_at=NOW)
EVERYTHING = UserChange(
    {"profile.city": "Pune", "preferences.currency": "EUR", "metadata.tags": ("vip",)},
    "other@example.com",
    "suspended",
    "moderator",
)
OWN, METADATA, EMAIL, STATUS, ROLE = (
    {"city", "preferences.currency"}, {"metadata"}, {"email"}, {"status"}, {"role"},
)  # fmt: skip


def user(user_id: str, role: Role) -> SignedIn:
    later = NOW + timedelta(minutes=1)
    return SignedIn(user_id, user_id, "s", role, "token", ("pwd",), NOW, later)


def key(scope: Scope, signed_in: SignedIn | None = None) -> Principal:
    return Principal(ApiKey("app", scope, "digest"), signed_in)


CALLERS: dict[str, tuple[Principal, set[str]]] = {
    "she herself": (Principal(signed_in=user("ann", Role.USER)), METADATA | EMAIL | STATUS | ROLE),
    "she, as a moderator": (
        Principal(signed_in=user("ann", Role.MODERATOR)),
        METADATA | EMAIL | STATUS | ROLE,
    ),
    "she, as an admin": (Principal(signed_in=user("ann", Role.ADMIN)), EMAIL | STATUS),
    "a moderator": (
        Principal(signed_in=user("bob", Role.MODERATOR)),
        OWN | METADATA | EMAIL | ROLE,
    ),
    "an admin": (Principal(signed_in=user("bob", Role.ADMIN)), set()),
    "a key to write": (key(Scope.WRITE), EMAIL | ROLE),
    "a key to administer": (key(Scope.ADMIN), set()),
    "a key to write, with an admin": (key(Scope.WRITE, user("bob", Role.ADMIN)), EMAIL | ROLE),
    "a key to administer, with a moderator": (
        key(Scope.ADMIN, user("bob", Role.MODERATOR)),
        OWN | METADATA | EMAIL | ROLE,
    ),
    "a key to administer, for her": (
        Principal(key(Scope.ADMIN).key, on_behalf_of=Represented("1", "ann")),
        METADATA | EMAIL | STATUS | ROLE,
    ),
    "nobody": (NOBODY, OWN | METADATA | EMAIL | STATUS | ROLE),
}


@pytest.mark.parametrize(("caller", "past"), CALLERS.values(), ids=CALLERS)
def test_each_field_that_is_past_a_caller_s_right_is_named(
    caller: Principal, past: set[str]
) -> None:
    rights = Rights(caller, "ann")
    assert rights.may_metadata is not bool(past & METADATA)
    assert may_set_roles(caller) is not bool(past & ROLE)
    if not past:
        rights.check(EVERYTHING, ANN)
        return
    with pytest.raises(PermissionDenied) as caught:
        rights.check(EVERYTHING, ANN)
    assert {error.field for error in caught.value.fields} == past
    assert len(caught.value.fields) == len(past), "each is named once"


def test_the_email_that_there_is_may_be_sent_again() -> None:
    own = Rights(CALLERS["she herself"][0], "ann")
    own.check(UserChange({"profile.city": "Pune"}, "ann@example.com"), ANN)
    with pytest.raises(PermissionDenied):
        own.check(UserChange(email="other@example.com"), ANN)
