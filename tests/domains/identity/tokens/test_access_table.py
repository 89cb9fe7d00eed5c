"""Each RPC by each kind of caller: what the contract's option lets in is what the table says.

The middleware is the server's, with tokens, revocations and keys as they are; behind it is no servicer, so
that a call that is let in changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any, cast

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from openapi import examples
from server.core.access import ApiKey, Keys, Scope
from server.core.errors import ApiError, Unauthenticated
from server.core.principals import Role, SignIns
from server.domains.connectors.errors import ConnectorNotFound
from server.rpc.call import Call, Context, Handler, enter_call
from server.rpc.method import Method
from server.rpc.middleware.authentication import Authentication
from server.rpc.middleware.decoding import request_decoding
from server.rpc.middleware.ownership import Owners, Ownership
from server.storage.driver import Database
from tests.contract.descriptors import ids, methods
from tests.contract.test_contract_access import entry
from tests.domains.identity.tokens.workers import ASHA, TurnableClock, Worker, worker

METHODS = methods()
every_rpc = pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))

HERS = "0" * 24  # a connector of hers
OTHERS = "1" * 24
IN = "let in"
CHIEFS = "2" * 24
STAFF = {"chief": Role.ADMIN, "helper": Role.MODERATOR}
# What a moderator gets who acts in a call about these; who reads it is let in.
TARGETS = {
    "user_id": {"asha": IN, "chief": "PERMISSION_DENIED", "helper": "PERMISSION_DENIED"},
    "connector_id": {HERS: IN, CHIEFS: "CONNECTOR_NOT_FOUND"},
}


class Guard:
    """`access.Keys`: one of each scope, so that calls need a credential."""

    are_fresh = guard = True

    def find(self, key: str) -> ApiKey:
        if key.upper() not in Scope.__members__:
            raise Unauthenticated
        return ApiKey(f"the {key} key", Scope[key.upper()], key)


@dataclass(frozen=True)
class Caller:
    """Who calls, in the words of the table, and what is sent."""

    headers: Mapping[str, str] = field(repr=False)
    scope: str | None = None  # of the API key
    user_id: str | None = None  # who has signed in, or for whom the key calls
    role: str | None = None  # of who has signed in
    is_recent: bool = True
    ended: str | None = None  # the error of a credential that does not hold


async def callers(here: Worker, database: Database, clock: TurnableClock) -> dict[str, Caller]:
    """All kinds, at a moment when the token of one of them has expired and another's session has ended."""
    now = clock.now()
    expired = await here.issue(replace(ASHA, session_id="s-expired", auth_time=now))
    clock.turn(timedelta(minutes=20))
    now = clock.now()

    async def signed_in(
        user_id: str, role: Role, *, ago: int = 0, session: str = "s"
    ) -> dict[str, str]:
        user = ASHA.user if user_id == ASHA.user_id else "665f1f77bcf86cd799439022"
        facts = replace(
            ASHA,
            user=user,
            user_id=user_id,
            role=role,
            session_id=f"{session}-{user_id}-{role}-{ago}",
            auth_time=now - timedelta(minutes=ago),
        )
        return {"authorization": f"Bearer {await here.issue(facts)}"}

    revoked = await signed_in("asha", Role.USER, session="revoked")
    await database.transact(partial(here.revoke.end_sessions, ["revoked-asha-1-0"]))
    here.revoke.announce(ASHA.user)
    found = {
        "nobody": Caller({}),
        "an unknown key": Caller({"x-api-key": "none"}, ended="UNAUTHENTICATED"),
        "she herself": Caller(await signed_in("asha", Role.USER), None, "asha", "user"),
        "she, long ago": Caller(
            await signed_in("asha", Role.USER, ago=60), None, "asha", "user", is_recent=False
        ),
        "another user": Caller(await signed_in("ravi", Role.USER), None, "ravi", "user"),
        "a moderator": Caller(await signed_in("ravi", Role.MODERATOR), None, "ravi", "moderator"),
        "an admin": Caller(await signed_in("ravi", Role.ADMIN), None, "ravi", "admin"),
        "an expired token": Caller({"authorization": f"Bearer {expired}"}, ended="TOKEN_EXPIRED"),
        "an ended session": Caller(revoked, ended="SESSION_ENDED"),
        "no token": Caller({"authorization": "Bearer x"}, ended="UNAUTHENTICATED"),
    }
    for scope in ("read", "write", "admin"):
        key = {"x-api-key": scope}
        found[f"a key to {scope}"] = Caller(key, scope)
        behalf = {**key, "x-on-behalf-of": "asha"}
        found[f"a key to {scope}, for her"] = Caller(behalf, scope, "asha")
        both = {**key, **await signed_in("ravi", Role.ADMIN)}
        found[f"a key to {scope}, with an admin"] = Caller(both, scope, "ravi", "admin")
    return found


SCOPES, ROLES = ("read", "write", "admin"), ("user", "moderator", "admin")


def expected(said: str, method: Method, caller: Caller) -> str:
    """What the table's entry means for a caller whose request is about her."""
    scope, users, *more = said.split()
    if users == "all":
        # A user's credential that does not hold counts as none there; a key must hold.
        return (caller.ended if "x-api-key" in caller.headers else None) or IN
    if caller.ended is not None:
        return caller.ended
    if caller.scope is not None and SCOPES.index(caller.scope) < SCOPES.index(scope):
        return "PERMISSION_DENIED"
    if caller.role is not None:
        return _of_user(users, more, method, caller)
    if caller.user_id is not None:  # a service on her behalf
        may = users in {"self", "own"} and not {"recent", "in-person"} & set(more)
        return IN if may and caller.scope != "read" else "PERMISSION_DENIED"
    return "UNAUTHENTICATED" if caller.scope is None or users == "own" else IN


def _of_user(users: str, more: Sequence[str], method: Method, caller: Caller) -> str:
    least = users if users in ROLES else next((word for word in more if word in ROLES), None)
    reaches = least is not None and ROLES.index(caller.role or "") >= ROLES.index(least)
    if users == "none" or (users in ROLES and not reaches):
        return "PERMISSION_DENIED"
    if "recent" in more and not caller.is_recent:
        return "RECENT_LOGIN_REQUIRED"
    if users == "self" and caller.user_id != "asha" and not reaches:
        return "PERMISSION_DENIED" if method.access.owner == "user_id" else "CONNECTOR_NOT_FOUND"
    return IN


def request_of(method: Method) -> bytes:
    """A request that is right, about her."""
    body = next(iter(examples.bodies(method).values())) if method.takes_json else {}
    message: Message = json_format.ParseDict(body, method.request_class())
    for each in method.request.fields:
        if each.name in method.path_fields or (not body and each.name == "user_ids"):
            _set(message, each, examples.parameter(each))
    owner = method.access.owner
    if owner:
        setattr(message, owner, "asha" if owner == "user_id" else HERS)
    return message.SerializeToString()


def _set(message: Message, described: FieldDescriptor, value: Any) -> None:
    if described.is_repeated:
        getattr(message, described.name).extend(value)
    else:
        setattr(message, described.name, value)


async def _user_of(connector_id: str) -> str | None:
    return {HERS: "asha", OTHERS: "ravi", CHIEFS: "chief"}.get(connector_id)


async def _identity(user_id: str) -> str:
    return ASHA.user


async def _role_of(user_id: str) -> Role | None:
    return STAFF.get(user_id, Role.USER)


def chain(method: Method, here: Worker) -> Handler:
    async def end(request: Any, context: Context) -> bytes:
        return IN.encode()

    owners = {method.access.owner: Owners(_user_of, ConnectorNotFound)}
    if method.access.owner == "user_id":
        owners = {}
    authentication = Authentication(cast("Keys", Guard()), cast("SignIns", here.tokens), _identity)
    return authentication(
        method,
        request_decoding(
            method, cast("Handler", Ownership(owners, _role_of)(method, cast("Any", end)))
        ),
    )


async def test_each_rpc_by_each_caller(database: Database, clock: TurnableClock) -> None:
    here = worker(database, clock)
    everybody = await callers(here, database, clock)
    wrong = []
    for method in METHODS:
        handle, request, (said, _) = chain(method, here), request_of(method), entry(method)
        for name, caller in everybody.items():
            enter_call(Call(method.path, "id", None, "peer", caller.headers))
            try:
                outcome = (await handle(request, cast("Context", None))).decode()
            except ApiError as error:
                outcome = error.code
            should = expected(said, method, caller)
            if outcome != should:
                wrong.append(f"{method.path} by {name}: {outcome}, not {should}")
    assert wrong == []


async def test_a_moderator_acts_on_users_and_not_on_staff(
    database: Database, clock: TurnableClock
) -> None:
    """Whatever names one user. Lists are of everybody, and so is what users read of themselves."""
    here = worker(database, clock)
    everybody = await callers(here, database, clock)
    moderator, checked = everybody["a moderator"].headers, {True: 0, False: 0}
    for method in METHODS:
        said = entry(method)[0].split()
        field = method.access.owner or "user_id" * ("user_id" in method.path_fields)
        if "moderator" not in said or not field:
            continue
        handle = chain(method, here)
        looks = method.verb == "get" and said[1] == "self"
        for target, if_acting in TARGETS[field].items():
            outcome = IN if looks else if_acting
            request = method.request_class.FromString(request_of(method))
            setattr(request, field, target)
            enter_call(Call(method.path, "id", None, "peer", moderator))
            try:
                reached = (
                    await handle(request.SerializeToString(), cast("Context", None))
                ).decode()
            except ApiError as error:
                reached = error.code
            assert reached == outcome, (method.path, target)
        checked[looks] += 1
    assert checked[True] > 5
    assert checked[False] > 3


class Open(Guard):
    """No keys at all."""

    guard = False


async def outcome_of(
    method: Method, here: Worker, headers: Mapping[str, str], *, behalf_is_open: bool = False
) -> str:
    authentication = Authentication(
        cast("Keys", Open()),
        cast("SignIns", here.tokens),
        _identity,
        behalf_is_open=behalf_is_open,
    )

    async def end(request: Any, context: Context) -> bytes:
        return IN.encode()

    enter_call(Call(method.path, "id", None, "peer", headers))
    try:
        return (await authentication(method, end)(b"", cast("Context", None))).decode()
    except ApiError as error:
        return error.code


async def test_without_keys_the_first_release_s_calls_are_open(
    database: Database, clock: TurnableClock
) -> None:
    here = worker(database, clock)
    for method in METHODS:
        said, is_open = entry(method)
        lets_in = is_open or " all" in said
        assert await outcome_of(method, here, {}) == (IN if lets_in else "UNAUTHENTICATED"), (
            method.path
        )


async def test_without_keys_development_acts_for_any_user(
    database: Database, clock: TurnableClock
) -> None:
    here, behalf = worker(database, clock), {"x-on-behalf-of": "asha"}
    for method in METHODS:
        said, is_open = entry(method)
        words = set(said.split())
        may = words & {"self", "own"} and not words & {"recent", "in-person"}
        expected = IN if may or "all" in words else "PERMISSION_DENIED"
        outcome = await outcome_of(method, here, behalf, behalf_is_open=True)
        assert outcome == expected, method.path
        closed = await outcome_of(method, here, behalf)
        assert closed == (expected if is_open or "all" in words else "UNAUTHENTICATED"), method.path
