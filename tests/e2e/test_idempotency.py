"""Calls with an `Idempotency-Key`: one effect and one answer, however often they are sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import httpx
import pytest

from tests.e2e.connector_steps import Documents, create_user, database, new_login
from tests.e2e.replies import content_of
from tests.e2e.users_errors import rest_error
from tests.gathered_requests import CHANGES, METHODS, new_key, over_grpc, over_rest, prepared, state
from tests.stack import Stack

every_change = pytest.mark.parametrize("name", CHANGES)


@pytest.fixture
async def documents(stack: Stack) -> AsyncIterator[Documents]:
    async with database(stack) as opened:
        yield opened


def test_every_change_is_tried() -> None:
    assert set(CHANGES) == set(METHODS)


@every_change
async def test_a_repeated_call_has_one_effect_and_one_reply(
    name: str,
    rest: httpx.AsyncClient,
    channel: grpc.aio.Channel,
    documents: Documents,
    new_id: str,
) -> None:
    request, key = await prepared(name, rest, documents, new_id), new_key()
    first = await over_rest(rest, name, request, key)
    assert first.is_success, first.text
    changed = await state(documents, new_id)
    again = [await over_rest(rest, name, request, key) for _ in range(2)]
    for repeated in again:
        assert (repeated.status_code, content_of(repeated)) == (
            first.status_code,
            content_of(first),
        )
    # One scope for both ways in.
    replies = [await over_grpc(channel, name, request, key) for _ in range(2)]
    assert replies[0] == replies[1]
    assert await state(documents, new_id) == changed


@pytest.mark.parametrize("name", ["CreateUser", "CreateConnector", "TriggerSync", "DeleteUser"])
async def test_calls_at_once_have_one_effect(
    name: str, rest: httpx.AsyncClient, documents: Documents, new_id: str
) -> None:
    request, key = await prepared(name, rest, documents, new_id), new_key()
    calls = [over_rest(rest, name, request, key) for _ in range(5)]
    responses = await asyncio.gather(*calls)
    assert responses[0].is_success, responses[0].text
    first, *others = [(reply.status_code, content_of(reply)) for reply in responses]
    assert others == [first] * 4


async def test_an_error_is_replayed(rest: httpx.AsyncClient, new_id: str) -> None:
    key, request = new_key(), {"userId": new_id, "emailVerified": True}
    first = await over_rest(rest, "UpdateUserEmailVerified", request, key)
    assert first.status_code == 404
    await create_user(rest, new_id)
    again = await over_rest(rest, "UpdateUserEmailVerified", request, key)
    assert (again.status_code, content_of(again)) == (404, content_of(first))
    assert (await over_rest(rest, "UpdateUserEmailVerified", request, new_key())).is_success


async def test_an_error_over_grpc_is_replayed(
    channel: grpc.aio.Channel, rest: httpx.AsyncClient, new_id: str
) -> None:
    key, request = new_key(), {"userId": new_id, "email": f"{new_id}@example.com"}
    await create_user(rest, new_id)
    refusals = []
    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await over_grpc(channel, "CreateUser", request, key)
        refusals.append((caught.value.code(), caught.value.details()))
    assert refusals == [(grpc.StatusCode.ALREADY_EXISTS, refusals[0][1])] * 2


async def test_a_key_belongs_to_one_request(rest: httpx.AsyncClient, new_id: str) -> None:
    key = new_key()
    await create_user(rest, new_id)
    request = {"userId": new_id, "city": "Pune"}
    assert (await over_rest(rest, "UpdateUserProfile", request, key)).is_success
    other = await over_rest(rest, "UpdateUserProfile", {**request, "city": "Delhi"}, key)
    failure = rest_error(other.status_code, other.content, f"/api/v1/users/{new_id}/profile")
    assert failure.code == "IDEMPOTENCY_KEY_REUSED"
    user = (await rest.get(f"/users/{new_id}")).json()["data"]
    assert user["profile"]["city"] == "Pune"


async def test_the_same_key_for_another_user_or_rpc_is_another_call(
    rest: httpx.AsyncClient, new_id: str
) -> None:
    key = new_key()
    for user_id in (new_id, f"{new_id[:50]}_b"):
        await create_user(rest, user_id)
        for name, field in (("UpdateUserProfile", "city"), ("UpdateUserPreferences", "language")):
            reply = await over_rest(rest, name, {"userId": user_id, field: "en"}, key)
            assert reply.is_success, reply.text


async def test_a_request_that_breaks_a_rule_uses_no_key_up(
    rest: httpx.AsyncClient, new_id: str
) -> None:
    key = new_key()
    wrong = await over_rest(rest, "CreateUser", {"userId": new_id, "email": "no"}, key)
    assert wrong.status_code == 400
    right = {"userId": new_id, "email": f"{new_id}@example.com"}
    assert (await over_rest(rest, "CreateUser", right, key)).status_code == 201


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "k\u00e9y"])
async def test_a_malformed_key_is_refused(rest: httpx.AsyncClient, new_id: str, key: str) -> None:
    reply = await rest.post(
        "/users",
        headers=[(b"Idempotency-Key", key.encode())],
        json={"userId": new_id, "email": f"{new_id}@example.com"},
    )
    failure = rest_error(reply.status_code, reply.content, "/api/v1/users")
    assert failure.code == "VALIDATION_ERROR"
    assert set(failure.fields) == {"Idempotency-Key"}
    assert (await rest.get(f"/users/{new_id}")).status_code == 404


async def test_replies_are_encrypted(
    rest: httpx.AsyncClient, documents: Documents, new_id: str
) -> None:
    key, login = new_key(), new_login()
    await create_user(rest, new_id)
    request = {
        "userId": new_id,
        "platform": "zerodha",
        "permissions": ["profile"],
        "credentials": {"username": login, "apiKey": "platform_api_key"},
    }
    reply = await over_rest(rest, "CreateConnector", request, key)
    login_url = reply.json()["data"]["loginUrl"]
    kept = [str(document) for document in await documents["answers"].find().to_list(None)]
    assert kept
    for secret in (login, login_url, new_id, key, reply.json()["data"]["id"]):
        assert not [text for text in kept if secret in text]
