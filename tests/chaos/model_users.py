"""Steps of the model scenario that make, change and delete users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.chaos.caller import Json, Way
from tests.chaos.model import User, new_preferences
from tests.chaos.model_steps import SLOT, SLOTS, WAYS, Steps
from tests.chaos.model_views import assert_user


@dataclass(frozen=True)
class Change:
    """An update of a user; `apply` gets its body."""

    rpc: str
    body: Callable[[int], Json]
    apply: Callable[[User, Json], object]


def _remove_city(user: User, _: Json) -> None:
    user.profile.pop("city", None)


def _to_defaults(user: User, _: Json) -> None:
    user.preferences |= new_preferences()


def _notify(user: User, body: Json) -> None:
    user.preferences["notifications"] |= body["notifications"]


def _verify(user: User, body: Json) -> None:
    user.verified = body["emailVerified"]


def _profile(user: User, body: Json) -> None:
    user.profile |= body


def _preferences(user: User, body: Json) -> None:
    user.preferences |= body


def _metadata(user: User, body: Json) -> None:
    user.metadata |= body


CHANGES = (
    Change("UpdateUserProfile", lambda n: {"lastName": f"L{n}", "income": n * 1000.5}, _profile),
    Change("UpdateUserProfile", lambda n: {"riskTolerance": ("low", "high")[n % 2]}, _profile),
    Change("UpdateUserProfile", lambda _: {"updateMask": "city"}, _remove_city),
    Change("UpdateUserProfile", lambda _: {}, _profile),
    Change("UpdateUserPreferences", lambda n: {"notifications": {"push": n > 4}}, _notify),
    Change("UpdateUserPreferences", lambda n: {"currency": ("USD", "EUR")[n % 2]}, _preferences),
    Change(
        "UpdateUserPreferences",
        lambda _: {"updateMask": "currency,language,notifications"},
        _to_defaults,
    ),
    Change("UpdateUserMetadata", lambda n: {"tags": [f"t{i}" for i in range(n)]}, _metadata),
    Change("UpdateUserMetadata", lambda n: {"source": f"s{n}"}, _metadata),
    Change("UpdateUserEmailVerified", lambda n: {"emailVerified": n > 4}, _verify),
)


class Users(Steps):
    @rule(slot=SLOT, way=WAYS, taken=st.booleans(), risk=st.sampled_from(["low", "high"]))
    def create_user(self, slot: int, way: Way, taken: bool, risk: str) -> None:
        # Somebody else's address in other letters, or one of its own.
        owner = (slot + 1) % SLOTS if taken else slot
        email = f"{self.name}_{owner}@Example.com"
        city = f"{self.name} {'Pune' if slot else 'Delhi'}"
        profile = {"firstName": f"User {slot}", "city": city, "riskTolerance": risk}
        blamed = self.model.create_user(self.user_id(slot), email, dict(profile))
        reply = self.ask(way, "CreateUser", userId=self.user_id(slot), email=email, **profile)
        assert (reply.code, list(reply.fields)) == ("USER_EXISTS" if blamed else None, blamed)
        if not blamed:
            assert_user(self.model.users[self.user_id(slot)], reply.data)

    @rule(slot=SLOT, way=WAYS, change=st.sampled_from(CHANGES), number=st.integers(1, 9))
    def update_user(self, slot: int, way: Way, change: Change, number: int) -> None:
        user = self.user(slot)
        body = change.body(number)
        if user is not None:
            change.apply(user, body)
        reply = self.ask(way, change.rpc, userId=self.user_id(slot), **body)
        if not body:
            assert reply.code == "VALIDATION_ERROR"
        else:
            assert reply.code == (None if user else "USER_NOT_FOUND")

    @rule(slot=SLOT, way=WAYS, status=st.sampled_from(["active", "inactive", "suspended"]))
    def set_status(self, slot: int, way: Way, status: str) -> None:
        user = self.user(slot)
        if user is not None:
            if status != "active":
                for connector in user.connectors.values():
                    self.drop_block(connector)
            self.model.set_status(user, status)
            self.touch(*user.connectors.values())
        reply = self.ask(way, "UpdateUserStatus", userId=self.user_id(slot), status=status)
        assert reply.code == (None if user else "USER_NOT_FOUND")
        assert user is None or reply.data["status"] == status

    @rule(slot=SLOT, way=WAYS, sure=st.integers(0, 3))
    def delete_user(self, slot: int, way: Way, sure: int) -> None:
        user = self.user(slot)
        if sure or (user and self.waits_for_lock(*user.connectors.values())):
            return
        for connector in user.connectors.values() if user else ():
            self.drop_block(connector)
        expected = self.model.delete_user(self.user_id(slot))
        assert self.ask(way, "DeleteUser", userId=self.user_id(slot)).code == expected
