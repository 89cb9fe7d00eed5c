"""Second factors and reauthentication over gRPC."""

from __future__ import annotations

import re
import time
from typing import Any

import grpc
import pyotp
import pytest
from finlink.identity.v1 import (
    auth_service_pb2_grpc,
    factors_pb2,
    login_pb2,
    me_service_pb2_grpc,
    reauthentication_pb2,
    registration_pb2,
    session_pb2,
)
from finlink.users.v1 import user_updates_pb2

from tests.e2e.identity_steps import PASSWORD
from tests.e2e.mails import mail
from tests.e2e.users_errors import grpc_error
from tests.stack import Stack

Metadata = tuple[tuple[str, str], ...]


async def login(auth: Any, user_id: str) -> session_pb2.SessionData:
    request = login_pb2.LoginRequest(username=user_id, password=PASSWORD)
    data: session_pb2.SessionData = (await auth.Login(request)).data
    return data


async def refused(call: Any, code: grpc.StatusCode, reason: str) -> dict[str, str]:
    """The metadata of the error with which a call fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = grpc_error(caught.value)
    assert (caught.value.code(), error.code) == (code, reason)
    return error.metadata


async def test_a_second_factor_from_adding_to_removing(
    channel: grpc.aio.Channel, users: Any, stack: Stack, new_id: str
) -> None:
    auth: Any = auth_service_pb2_grpc.AuthServiceStub(channel)
    me: Any = me_service_pb2_grpc.MeServiceStub(channel)
    address = f"{new_id}@example.com"
    await auth.Register(
        registration_pb2.RegisterRequest(email=address, password=PASSWORD, user_id=new_id)
    )
    session = await login(auth, new_id)
    metadata: Metadata = (("authorization", f"Bearer {session.token}"),)
    setup = (await me.StartTotp(factors_pb2.StartTotpRequest(), metadata=metadata)).data
    app, step = pyotp.TOTP(setup.secret), int(time.time()) // 30
    confirm = factors_pb2.ConfirmTotpRequest(code=app.at(step * 30))
    codes = (await me.ConfirmTotp(confirm, metadata=metadata)).data.recovery_codes
    assert len(codes) == 10
    await refused(
        me.ConfirmTotp(confirm, metadata=metadata),
        grpc.StatusCode.FAILED_PRECONDITION,
        "TOTP_ACTIVE",
    )

    challenge = (await login(auth, new_id)).challenge
    assert list(challenge.methods) == ["totp", "recovery_code"]
    wrong = factors_pb2.VerifySecondFactorRequest(
        challenge_id=challenge.challenge_id, totp=confirm.code
    )
    unauthenticated = grpc.StatusCode.UNAUTHENTICATED
    await refused(auth.VerifySecondFactor(wrong), unauthenticated, "LOGIN_FAILED")
    right = factors_pb2.VerifySecondFactorRequest(
        challenge_id=challenge.challenge_id, totp=app.at((step + 1) * 30)
    )
    reply = await auth.VerifySecondFactor(right)
    assert (reply.message, reply.data.user.mfa_enabled) == ("Signed in", True)
    metadata = (("authorization", f"Bearer {reply.data.token}"),)

    await users.UpdateUserEmailVerified(
        user_updates_pb2.UpdateUserEmailVerifiedRequest(user_id=new_id, email_verified=True)
    )
    started = await auth.StartReauthentication(
        reauthentication_pb2.StartReauthenticationRequest(channel="email"), metadata=metadata
    )
    found = re.search(r"\b\d{6}\b", (await mail(stack, address, "Your code"))["text"])
    assert found is not None
    shown = reauthentication_pb2.ReauthenticateRequest(
        challenge_id=started.data.challenge_id, code=found[0]
    )
    proved = await auth.Reauthenticate(shown, metadata=metadata)
    assert proved.message == "Reauthenticated"
    await refused(auth.Reauthenticate(shown, metadata=metadata), unauthenticated, "LOGIN_FAILED")

    renewed = await me.RenewRecoveryCodes(
        factors_pb2.RenewRecoveryCodesRequest(), metadata=metadata
    )
    remove = factors_pb2.RemoveTotpRequest(code=renewed.data.recovery_codes[0])
    removed = await me.RemoveTotp(remove, metadata=metadata)
    assert removed.message == "Second factor removed"
    assert (await login(auth, new_id)).token


async def test_a_cookie_that_was_asked_for_over_rest_is_not_given_over_grpc(
    channel: grpc.aio.Channel, rest: Any, new_id: str
) -> None:
    auth: Any = auth_service_pb2_grpc.AuthServiceStub(channel)
    me: Any = me_service_pb2_grpc.MeServiceStub(channel)
    await auth.Register(
        registration_pb2.RegisterRequest(
            email=f"{new_id}@example.com", password=PASSWORD, user_id=new_id
        )
    )
    session = await login(auth, new_id)
    metadata: Metadata = (("authorization", f"Bearer {session.token}"),)
    setup = (await me.StartTotp(factors_pb2.StartTotpRequest(), metadata=metadata)).data
    app, step = pyotp.TOTP(setup.secret), int(time.time()) // 30
    confirm = factors_pb2.ConfirmTotpRequest(code=app.at(step * 30))
    await me.ConfirmTotp(confirm, metadata=metadata)
    body = {"username": new_id, "password": PASSWORD, "session": "cookie"}
    own = {"sec-fetch-site": "same-origin"}
    asked = await rest.post("/auth/login", json=body, headers=own)
    request = factors_pb2.VerifySecondFactorRequest(
        challenge_id=asked.json()["data"]["challenge"]["challengeId"],
        totp=app.at((step + 1) * 30),
    )
    await refused(
        auth.VerifySecondFactor(request), grpc.StatusCode.INVALID_ARGUMENT, "VALIDATION_ERROR"
    )
