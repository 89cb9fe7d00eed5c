"""Ready answers: who gets them, and what is never kept."""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from finlink.connectors.v1.sync_service_pb2 import CancelSyncRequest
from finlink.users.v1 import user_pb2
from finlink.users.v1.user_creation_pb2 import DeleteUserRequest
from finlink.users.v1.user_service_pb2 import GetUserRequest, GetUserResponse
from google.api.httpbody_pb2 import HttpBody

from server.cache.generations import Generations
from server.cache.responses import ResponseCache, Shown
from server.core.access import ApiKey, Keys, Scope
from server.core.authorization import Reach
from server.core.clock import utc_now
from server.core.errors import ApiError, InvalidRequest, PermissionDenied, Unauthenticated
from server.core.idempotency import IdempotencyRecord
from server.core.principals import Role, SignedIn, SignIns
from server.rpc.call import Call, Context, Handler, enter_call, reply_shows
from server.rpc.method import Method
from server.rpc.middleware.authentication import Authentication
from server.rpc.middleware.cached_responses import CachedResponses
from server.rpc.middleware.decoding import request_decoding
from server.rpc.middleware.encoding import reply_encoding
from server.rpc.middleware.idempotency import Idempotency
from server.rpc.middleware.ownership import Ownership
from tests.contract.descriptors import methods

GET_USER = next(method for method in methods() if method.descriptor.name == "GetUser")
REQUEST = GetUserRequest(user_id="ann").SerializeToString()
NO_CONTEXT = cast("Context", None)


class Admission:
    """`access.Keys` that says what a test wants."""

    refusal: ApiError | None = None
    are_fresh = guard = True

    async def read(self) -> None: ...

    def find(self, key: str) -> ApiKey:
        if self.refusal is not None:
            raise self.refusal
        return ApiKey("app", Scope.ADMIN, key)


class Tokens:
    """`principals.SignIns` to which a token is the name of its user, and the role."""

    are_fresh = True

    async def by_token(self, token: str) -> SignedIn:
        name, _, role = token.partition(".")
        later = utc_now() + timedelta(minutes=1)
        return SignedIn(
            name, name, "session", Role[role.upper() or "USER"], "token", ("pwd",), utc_now(), later
        )


async def _identity(user_id: str) -> str:
    return user_id


class Way:
    """The steps a call of GetUser takes from authentication on, to a servicer that counts."""

    def __init__(self, method: Method = GET_USER, *, shows: bool = True) -> None:
        self.served = 0
        self.role = Role.USER
        self.failure: Exception | None = None
        self.keys = Admission()
        self.generations = Generations()
        self.cache = ResponseCache(self.generations.numbers, 100_000)
        self.cache.heard(math.inf)
        self._shows = shows
        responses = CachedResponses(self.cache)
        chain = reply_encoding(method, cast("Handler", self._serve))
        chain = responses.stored(method, chain)
        chain = request_decoding(
            method, cast("Handler", Ownership({}, self._role_of)(method, cast("Any", chain)))
        )
        chain = responses.returned(method, chain)
        authentication = Authentication(
            cast("Keys", self.keys), cast("SignIns", Tokens()), _identity
        )
        self._chain = authentication(method, chain)

    async def _role_of(self, user_id: str) -> Role | None:
        return self.role

    async def _serve(self, request: Any, context: Context) -> GetUserResponse:
        self.served += 1
        if self.failure is not None:
            raise self.failure
        if self._shows:
            reply_shows(Shown(["document"]))
        return GetUserResponse(data=user_pb2.User(user_id=f"{request.user_id}{self.served}"))

    async def call(self, target: str | None = "/api/v1/users/ann", **credential: str) -> str:
        sent = credential or {"x-api-key": "k"}
        enter_call(Call(GET_USER.path, "id", target, "peer", sent))
        content = await self._chain(REQUEST, NO_CONTEXT)
        if target is None:
            return GetUserResponse.FromString(content).data.user_id
        return str(json.loads(HttpBody.FromString(content).data)["data"]["userId"])


async def test_a_cached_reply_is_for_those_who_may_see_it() -> None:
    way = Way()
    assert await way.call(authorization="Bearer ann") == "ann1"
    assert await way.call(authorization="Bearer ann") == "ann1"
    assert await way.call(authorization="Bearer boss.admin") == "ann1"
    with pytest.raises(PermissionDenied):
        await way.call(authorization="Bearer bob")
    way.cache.drop_all()
    with pytest.raises(PermissionDenied):
        await way.call(authorization="Bearer bob")
    assert way.served == 1


async def test_a_moderator_may_see_it_of_anybody() -> None:
    way = Way()
    way.role = Role.ADMIN
    assert await way.call() == "ann1"
    assert await way.call(authorization="Bearer mod.moderator") == "ann1"
    assert way.served == 1


async def test_where_a_moderator_acts_the_role_of_the_user_is_looked_up() -> None:
    method = copy(GET_USER)
    method.access = replace(GET_USER.access, reach=Reach.ROLE, owner="")
    way = Way(method)
    assert await way.call() == "ann1"
    assert await way.call(authorization="Bearer mod.moderator") == "ann2"
    way.role = Role.ADMIN
    with pytest.raises(PermissionDenied):
        await way.call(authorization="Bearer mod.moderator")
    assert way.served == 2


async def test_the_second_call_is_served_from_the_cache_over_rest_and_grpc_each_in_its_form() -> (
    None
):
    way = Way()
    assert [await way.call(), await way.call()] == ["ann1"] * 2
    assert [await way.call(None), await way.call(None)] == ["ann2"] * 2
    assert await way.call() == "ann1"
    assert way.served == 2
    way.generations.close("ann")
    assert [await way.call(), await way.call(None)] == ["ann3", "ann4"]


@pytest.mark.parametrize("refusal", [Unauthenticated(), PermissionDenied()])
async def test_a_cached_response_is_for_those_only_who_may_call(refusal: ApiError) -> None:
    way = Way()
    await way.call()
    way.keys.refusal = refusal
    with pytest.raises(type(refusal)):
        await way.call()


async def test_parameters_are_refused_also_if_a_response_is_cached() -> None:
    way = Way()
    await way.call()
    for query in ("x=1", "userId=bob", "userId=ann"):
        with pytest.raises(InvalidRequest):
            await way.call(f"/api/v1/users/ann?{query}")
    assert await way.call("/api/v1/users/ann?") == "ann1"
    assert way.served == 1


async def test_errors_are_not_kept() -> None:
    way = Way()
    way.failure = ApiError()
    for _ in range(2):
        with pytest.raises(ApiError):
            await way.call()
    way.failure = None
    assert await way.call() == "ann3"


async def test_nothing_is_kept_that_does_not_say_what_it_shows() -> None:
    way = Way(shows=False)
    assert [await way.call(), await way.call()] == ["ann1", "ann2"]


class Records:
    """`idempotency.IdempotencyRecords` in memory."""

    def __init__(self) -> None:
        self._kept: dict[str, IdempotencyRecord] = {}

    @asynccontextmanager
    async def serving(self, name: str, wait: timedelta) -> AsyncIterator[None]:
        yield

    async def find(self, name: str) -> IdempotencyRecord | None:
        return self._kept.get(name)

    async def add(
        self, records: Sequence[tuple[str, IdempotencyRecord]], session: Any = None
    ) -> None:
        self._kept |= dict(records)


async def test_a_replayed_reply_drops_what_may_be_older() -> None:
    """Who made the change may have died on another host, before this one heard of it."""
    dropped: list[str | None] = []
    step = Idempotency(Records(), b"key", dropped.append)

    async def serve(request: Any, context: Context) -> Any:
        return method.response_class()

    for name, request, whose in (
        ("DeleteUser", DeleteUserRequest(user_id="ann"), "ann"),
        ("CancelSync", CancelSyncRequest(connector_id="0" * 24, sync_id="1"), None),
    ):
        method = next(each for each in methods() if each.descriptor.name == name)
        dropped.clear()
        for times in (0, 1, 2):
            enter_call(Call(method.path, "id", None, "peer", {"idempotency-key": "k"}))
            await step(method, serve)(request, NO_CONTEXT)
            assert dropped == [whose] * times


async def test_nothing_is_kept_while_the_feed_is_silent() -> None:
    way = Way()
    way.cache.heard(time.monotonic())
    assert [await way.call(), await way.call()] == ["ann1", "ann2"]
    way.cache.heard(math.inf)
    assert [await way.call(), await way.call()] == ["ann3", "ann3"]
