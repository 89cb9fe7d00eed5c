"""Signing in over gRPC."""

from __future__ import annotations

import json
from typing import Any

import grpc
import httpx
import pytest
from finlink.connectors.v1 import connector_service_pb2_grpc, watch_pb2
from finlink.identity.v1 import (
    auth_service_pb2_grpc,
    key_service_pb2,
    key_service_pb2_grpc,
    login_pb2,
    me_pb2,
    me_service_pb2_grpc,
    phone_pb2,
    recovery_pb2,
    registration_pb2,
    session_pb2,
)

from tests.e2e.identity_steps import PASSWORD
from tests.e2e.phones import code_of, new_number
from tests.e2e.users_errors import grpc_error
from tests.stack import Stack


async def registered(channel: grpc.aio.Channel, user_id: str) -> Any:
    auth: Any = auth_service_pb2_grpc.AuthServiceStub(channel)
    request = registration_pb2.RegisterRequest(
        email=f"{user_id}@example.com", password=PASSWORD, user_id=user_id
    )
    reply = await auth.Register(request)
    assert reply.data.user_id == user_id
    return auth


async def session_of(auth: Any, user_id: str) -> session_pb2.SessionData:
    reply: login_pb2.LoginResponse = await auth.Login(
        login_pb2.LoginRequest(username=user_id, password=PASSWORD)
    )
    return reply.data


def metadata(session: session_pb2.SessionData) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {session.token}"),)


async def test_from_registering_to_signing_out(channel: grpc.aio.Channel, new_id: str) -> None:
    auth = await registered(channel, new_id)
    me: Any = me_service_pb2_grpc.MeServiceStub(channel)
    session = await session_of(auth, new_id)
    own = await me.GetMe(me_pb2.GetMeRequest(), metadata=metadata(session))
    assert (own.data.user_id, own.data.session.session_id) == (new_id, session.session_id)
    changed = await me.UpdateMe(me_pb2.UpdateMeRequest(city="Pune"), metadata=metadata(session))
    assert changed.data.profile.city == "Pune"
    refreshed = await auth.Refresh(login_pb2.RefreshRequest(refresh_token=session.refresh_token))
    assert refreshed.data.session_id == session.session_id
    other = await session_of(auth, new_id)
    listed = await me.ListSessions(me_pb2.ListSessionsRequest(), metadata=metadata(other))
    assert len(listed.data.sessions) == 2
    one = me_pb2.RevokeSessionRequest(session_id=session.session_id)
    await me.RevokeSession(one, metadata=metadata(other))
    await me.RevokeSessions(me_pb2.RevokeSessionsRequest(), metadata=metadata(other))
    change = me_pb2.ChangePasswordRequest(
        current_password=PASSWORD, new_password="an even better battery"
    )
    await me.ChangePassword(change, metadata=metadata(other))
    left = await auth.Logout(login_pb2.LogoutRequest(), metadata=metadata(other))
    assert left.message == "Signed out"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await me.GetMe(me_pb2.GetMeRequest(), metadata=metadata(other))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert grpc_error(caught.value).code == "SESSION_ENDED"


async def test_a_token_is_introspected_with_a_key_only(
    channel: grpc.aio.Channel, new_id: str
) -> None:
    auth = await registered(channel, new_id)
    session = await session_of(auth, new_id)
    request = login_pb2.IntrospectRequest(token=session.token)
    for sent in ((), metadata(session)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await auth.Introspect(request, metadata=sent)
        expected = "PERMISSION_DENIED" if sent else "UNAUTHENTICATED"
        assert grpc_error(caught.value).code == expected


async def test_the_keys_are_those_of_rest(
    channel: grpc.aio.Channel, rest: httpx.AsyncClient
) -> None:
    keys: Any = key_service_pb2_grpc.KeyServiceStub(channel)
    reply = await keys.GetKeys(key_service_pb2.GetKeysRequest())
    root = str(rest.base_url).removesuffix("/api/v1/")
    assert json.loads(reply.data) == (await rest.get(f"{root}/.well-known/jwks.json")).json()


async def test_cookies_are_for_rest(channel: grpc.aio.Channel, new_id: str) -> None:
    auth = await registered(channel, new_id)
    request = login_pb2.LoginRequest(username=new_id, password=PASSWORD, session="cookie")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await auth.Login(request)
    assert set(grpc_error(caught.value).fields) == {"session"}


async def test_a_code_by_sms_gives_tokens(channel: grpc.aio.Channel, stack: Stack) -> None:
    auth: Any = auth_service_pb2_grpc.AuthServiceStub(channel)
    me: Any = me_service_pb2_grpc.MeServiceStub(channel)
    number = new_number()
    sent = await auth.SendOtp(phone_pb2.SendOtpRequest(phone_number=number))
    code = await code_of(stack, number)
    request = phone_pb2.VerifyOtpRequest(challenge_id=sent.data.challenge_id, code=code)
    for asked, refusal in (("cookie", "VALIDATION_ERROR"), ("token", None), ("", "LOGIN_FAILED")):
        if asked:
            request.session = asked
        else:
            request.ClearField("session")
        if refusal is None:
            session = (await auth.VerifyOtp(request)).data
            continue
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await auth.VerifyOtp(request)
        assert grpc_error(caught.value).code == refusal
    assert session.created
    own = await me.GetMe(me_pb2.GetMeRequest(), metadata=metadata(session))
    assert own.data.login_methods.phone
    assert not own.data.HasField("email")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await auth.SendOtp(phone_pb2.SendOtpRequest(phone_number=number))
    assert grpc_error(caught.value).code == "RATE_LIMITED"


async def test_tokens_of_mails_that_nobody_has(channel: grpc.aio.Channel, new_id: str) -> None:
    auth: Any = auth_service_pb2_grpc.AuthServiceStub(channel)
    unknown = f"{new_id}@example.com"
    asked = await auth.ForgotPassword(recovery_pb2.ForgotPasswordRequest(email=unknown))
    again = await auth.ResetPassword(recovery_pb2.ResetPasswordRequest(email=unknown))
    assert asked.message == again.message
    await auth.SendVerification(recovery_pb2.SendVerificationRequest(email=unknown))
    wrong = recovery_pb2.ResetPasswordRequest(token="x" * 43, password=PASSWORD)
    for call in (
        auth.ResetPassword(wrong),
        auth.VerifyEmail(recovery_pb2.VerifyEmailRequest(token="x" * 43)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert grpc_error(caught.value).code == "CODE_INVALID"


async def _all_of(watch: Any) -> None:
    while (await watch.read()) is not grpc.aio.EOF:
        pass


async def test_a_stream_ends_with_the_session(channel: grpc.aio.Channel, new_id: str) -> None:
    auth = await registered(channel, new_id)
    session = await session_of(auth, new_id)
    connectors: Any = connector_service_pb2_grpc.ConnectorServiceStub(channel)
    watch = connectors.WatchConnectors(
        watch_pb2.WatchConnectorsRequest(user_id=new_id), metadata=metadata(session)
    )
    assert await watch.read() is not grpc.aio.EOF
    await auth.Logout(login_pb2.LogoutRequest(), metadata=metadata(session))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _all_of(watch)
    assert grpc_error(caught.value).code == "SESSION_ENDED"
