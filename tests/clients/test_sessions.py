"""The client's session of a user: tokens that are renewed in time, in one flight, at the lowest cost."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from finlink.connectors.v1.watch_pb2 import WatchConnectorsResponse
from finlink.exports.v1.export_service_pb2 import ExportUserRequest, ExportUserResponse
from finlink.identity.v1.login_pb2 import (
    LoginRequest,
    LoginResponse,
    LogoutRequest,
    RefreshRequest,
    RefreshResponse,
)
from finlink.identity.v1.session_pb2 import LoginChallenge, SessionData
from finlink.users.v1.user_creation_pb2 import DeleteUserRequest
from finlink.users.v1.user_service_pb2 import GetUserRequest
from finlink_client import LoginFailed, SessionEnded, TokenExpired, Unavailable, sessions

from server.core.errors import ApiError
from server.rpc.status import STATUSES, grpc_details
from tests.clients.flavours import Flavour
from tests.clients.scripted import HANG, Failure, Script

LOGIN = LoginRequest(email="asha@example.com", password="any")
DOWN = Failure(grpc.StatusCode.UNAVAILABLE, "no healthy upstream")


def refused(reason: str) -> Failure:
    error = ApiError("As the server puts it")
    error.code = reason
    return Failure(STATUSES[reason][0], error.message, grpc_details(error))


def tokens(number: int, seconds: int = 900) -> SessionData:
    return SessionData(token=f"at{number}", expires_in=seconds, refresh_token=f"flr_{number}")


def refreshed(number: int, seconds: int = 900) -> bytes:
    return RefreshResponse(data=tokens(number, seconds)).SerializeToString()


def signed_in(number: int) -> bytes:
    return LoginResponse(data=tokens(number)).SerializeToString()


def shown(script: Script, method: str) -> list[str]:
    """The access tokens that came with the calls of `method`."""
    found = [
        call.metadata.get("authorization", "") for call in script.received if call.method == method
    ]
    return [each.removeprefix("Bearer ") for each in found]


def refreshes(script: Script) -> list[tuple[str, str]]:
    """The refresh tokens that came, with their keys."""
    return [
        (RefreshRequest.FromString(call.request).refresh_token, call.metadata["idempotency-key"])
        for call in script.received
        if call.method == "Refresh"
    ]


async def test_many_calls_at_once_make_one_refresh(flavour: Flavour, script: Script) -> None:
    script.replies["Refresh"].append(refreshed(1))
    kept: list[str] = []
    async with flavour.connect(
        script.address,
        refresh_token="flr_0",
        on_session=lambda data: kept.append(data.refresh_token),
    ) as client:
        await asyncio.gather(*(client.call(GetUserRequest()) for _ in range(6)))
    assert [token for token, _ in refreshes(script)] == ["flr_0"]
    assert shown(script, "GetUser") == ["at1"] * 6
    assert kept == ["flr_1"]


async def test_the_next_token_is_fetched_before_one_expires(
    flavour: Flavour, script: Script
) -> None:
    script.replies["Refresh"].extend([refreshed(1, seconds=0), refreshed(2)])
    async with flavour.connect(script.address, refresh_token="flr_0") as client:
        for _ in range(3):
            await client.call(GetUserRequest())
    assert [token for token, _ in refreshes(script)] == ["flr_0", "flr_1"]
    assert shown(script, "GetUser") == ["at1", "at2", "at2"]


async def test_a_call_whose_token_has_expired_is_made_once_more(
    flavour: Flavour, script: Script
) -> None:
    script.replies["Refresh"].extend([refreshed(1), refreshed(2), refreshed(3)])
    script.replies["DeleteUser"].extend(
        [refused("TOKEN_EXPIRED"), b"", *[refused("TOKEN_EXPIRED")] * 2]
    )
    async with flavour.connect(script.address, refresh_token="flr_0") as client:
        await client.call(DeleteUserRequest())
        with pytest.raises(TokenExpired):
            await client.call(DeleteUserRequest())
    assert shown(script, "DeleteUser") == ["at1", "at2", "at2", "at3"]
    keys = [
        call.metadata["idempotency-key"] for call in script.received if call.method == "DeleteUser"
    ]
    assert keys[0] == keys[1] != keys[2] == keys[3]


async def test_a_refresh_whose_reply_was_lost_is_repeated_with_its_key(
    flavour: Flavour, script: Script
) -> None:
    script.replies["Refresh"].extend([HANG, refreshed(1)])
    async with flavour.connect(script.address, refresh_token="flr_0") as client:
        with pytest.raises(Exception, match="DEADLINE_EXCEEDED"):
            await client.call(GetUserRequest(), timeout=0.2)
        await client.call(GetUserRequest())
        (first, key), (again, same) = refreshes(script)
        assert (first, again, key) == ("flr_0", "flr_0", same)


async def test_a_token_that_lives_is_used_while_there_is_no_next(
    flavour: Flavour, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(sessions, "time", SimpleNamespace(time=lambda: now[0]))
    script.replies["Refresh"].extend([refreshed(1), *[DOWN] * 4, refreshed(2)])
    async with flavour.connect(script.address, refresh_token="flr_0") as client:
        await client.call(GetUserRequest())
        now[0] += 721
        await client.call(GetUserRequest())
        await client.call(GetUserRequest())
        now[0] += 11
        await client.call(GetUserRequest())
    assert shown(script, "GetUser") == ["at1", "at1", "at1", "at2"]
    assert script.calls("Refresh") == 6


async def test_a_login_begins_the_session_and_begins_it_again(
    flavour: Flavour, script: Script
) -> None:
    script.replies["Login"].extend([signed_in(1), signed_in(2)])
    script.replies["GetUser"].extend([b"", refused("SESSION_ENDED")])
    script.replies["Refresh"].append(refused("SESSION_ENDED"))
    async with flavour.connect(script.address, login=LOGIN) as client:
        for _ in range(3):
            await client.call(GetUserRequest())
    assert shown(script, "GetUser") == ["at1", "at1", "at2", "at2"]
    assert (script.calls("Login"), script.calls("Refresh")) == (2, 1)


async def test_a_login_that_was_refused_is_not_tried_again(
    flavour: Flavour, script: Script
) -> None:
    script.replies["Login"].append(refused("LOGIN_FAILED"))
    async with flavour.connect(script.address, login=LOGIN) as client:
        for _ in range(2):
            with pytest.raises(LoginFailed):
                await client.call(GetUserRequest())
    assert [call.method for call in script.received] == ["Login"]


async def test_a_second_factor_is_for_the_caller_to_show(flavour: Flavour, script: Script) -> None:
    challenge = LoginChallenge(challenge_id="any", methods=["totp"])
    reply = LoginResponse(data=SessionData(challenge=challenge))
    script.replies["Login"].append(reply.SerializeToString())
    async with flavour.connect(script.address, login=LOGIN) as client:
        for _ in range(2):
            with pytest.raises(LoginFailed, match="VerifySecondFactor"):
                await client.call(GetUserRequest())
    assert [call.method for call in script.received] == ["Login"]


async def test_without_a_login_an_ended_session_is_the_callers(
    flavour: Flavour, script: Script
) -> None:
    script.replies["Refresh"].extend([refused("SESSION_ENDED"), *[DOWN] * 4])
    async with flavour.connect(script.address, refresh_token="flr_0") as client:
        with pytest.raises(SessionEnded):
            await client.call(GetUserRequest())
        with pytest.raises(Unavailable):
            await client.call(GetUserRequest())
    assert script.calls("GetUser") == 0


async def test_signing_out_shows_the_token_and_fetches_none(
    flavour: Flavour, script: Script
) -> None:
    script.replies["Refresh"].append(refreshed(1, seconds=0))
    async with flavour.connect(script.address, refresh_token="flr_0") as client:
        await client.call(LogoutRequest())
        await client.call(GetUserRequest())
        await client.call(LogoutRequest())
        await client.call(GetUserRequest(), metadata=(("authorization", "Bearer own"),))
    assert shown(script, "Logout") == ["", "at1"]
    assert shown(script, "GetUser") == ["at1", "own"]
    assert script.calls("Refresh") == 1


async def test_streams_go_on_with_the_next_token(flavour: Flavour, script: Script) -> None:
    def event(token: str) -> bytes:
        return WatchConnectorsResponse(resume_token=token).SerializeToString()

    expired = refused("TOKEN_EXPIRED")
    item = ExportUserResponse().SerializeToString()
    script.replies["Refresh"].extend(refreshed(number) for number in range(1, 9))
    script.streams["WatchConnectors"].extend(
        [[event("a"), expired], [event("b")], [expired], [expired]]
    )
    script.streams["ExportUser"].extend([[expired], [item], [item, expired]])
    async with flavour.connect(script.address, refresh_token="flr_0") as client:
        assert [each.resume_token async for each in client.watch()] == ["a", "b"]
        with pytest.raises(TokenExpired):
            [each async for each in client.watch()]
        assert len(await client.export(ExportUserRequest())) == 1
        with pytest.raises(TokenExpired):
            await client.export(ExportUserRequest())
    assert shown(script, "WatchConnectors") == ["at1", "at2", "at2", "at3"]
    assert shown(script, "ExportUser") == ["at3", "at4", "at4"]


@pytest.mark.parametrize("given", [{"login": LOGIN}, {"refresh_token": "flr_0"}])
async def test_a_session_and_an_access_token_exclude_each_other(
    flavour: Flavour, given: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="access_token"):
        async with flavour.connect("localhost:1", access_token="at0", **given):
            pass
