"""A server that dies while somebody registers, sets a password, verifies an address or refreshes a session.

These calls store no reply, as it would have secrets in it. Who calls again finds what was done, once.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

import grpc
import httpx
import pytest
from finlink.identity.v1.auth_service_pb2_grpc import AuthServiceStub
from finlink.identity.v1.login_pb2 import RefreshRequest
from finlink.identity.v1.recovery_pb2 import ResetPasswordRequest, VerifyEmailRequest
from finlink.identity.v1.registration_pb2 import RegisterRequest
from google.protobuf.message import Message

from tests.chaos.ground import Ground
from tests.chaos.victims import victim
from tests.e2e.identity_steps import PASSWORD, Json, login, refused, register, signed_in
from tests.e2e.mails import token_of

ANOTHER = "a wholly other passphrase"
# A refresh is one command.
REFRESH = (b"findAndModify\x00", b"login_sessions\x00")
pytestmark = pytest.mark.full_only
around_the_commit = pytest.mark.parametrize("when", ["after", "before"])


@pytest.fixture
def user_id() -> str:
    return f"u_{uuid.uuid4().hex}"


async def mailed(site: Ground, user_id: str, subject: str) -> str:
    """The token of a mail, once it has come."""
    inbox = site.settings["SMS_URL"].removesuffix("/sms")
    async with httpx.AsyncClient(base_url=inbox) as client, asyncio.timeout(30):
        while True:
            reply = await client.get("/inbox.json", params={"to": f"{user_id}@example.com"})
            for message in reply.json()["messages"]:
                if message["subject"] == subject:
                    return token_of(message)
            await asyncio.sleep(0.05)


async def dies(
    site: Ground,
    when: str,
    method: str,
    request: Message,
    key: str = "",
    marks: Sequence[bytes] = (),
) -> None:
    """A call whose server is killed before or after its commit; its caller gets no reply."""
    name = f"{when}-{method}-{uuid.uuid4().hex[:8]}"
    metadata = (("idempotency-key", key),) if key else ()
    async with victim(site, name) as (way, channel):
        way.marks, way.armed = marks, when
        with pytest.raises(grpc.aio.AioRpcError) as died:
            await getattr(AuthServiceStub(channel), method)(request, metadata=metadata, timeout=40)
    assert died.value.code() == grpc.StatusCode.UNAVAILABLE


async def served(api: httpx.AsyncClient, path: str, body: Json, key: str = "") -> httpx.Response:
    """The reply to who tries again: a transaction of a server that died lasts some seconds."""
    headers = {"idempotency-key": key} if key else {}
    async with asyncio.timeout(60):
        while True:
            reply = await api.post(path, json=body, headers=headers)
            if reply.status_code != 503:
                return reply


@around_the_commit
async def test_a_registration(
    site: Ground, api: httpx.AsyncClient, user_id: str, when: str
) -> None:
    fields = {"email": f"{user_id}@example.com", "password": PASSWORD, "userId": user_id}
    request = RegisterRequest(
        email=fields["email"], password=fields["password"], user_id=fields["userId"]
    )
    await dies(site, when, "Register", request)
    again = await served(api, "/auth/register", fields)
    if when == "after":
        refused(again, 409, "USER_EXISTS")
    else:
        assert again.status_code == 201
    await login(api, user_id)


@around_the_commit
async def test_a_reset(site: Ground, api: httpx.AsyncClient, user_id: str, when: str) -> None:
    await register(api, user_id)
    await api.post("/auth/forgot-password", json={"email": f"{user_id}@example.com"})
    token = await mailed(site, user_id, "Set a new password")
    await dies(site, when, "ResetPassword", ResetPasswordRequest(token=token, password=ANOTHER))
    again = await served(api, "/auth/reset-password", {"token": token, "password": ANOTHER})
    if when == "after":
        refused(again, 400, "CODE_INVALID")
    else:
        assert again.status_code == 200
    await login(api, user_id, password=ANOTHER)
    old = await api.post("/auth/login", json={"username": user_id, "password": PASSWORD})
    refused(old, 401, "LOGIN_FAILED")


@around_the_commit
async def test_a_verification(
    site: Ground, api: httpx.AsyncClient, user_id: str, when: str
) -> None:
    await register(api, user_id)
    token = await mailed(site, user_id, "Verify your email address")
    await dies(site, when, "VerifyEmail", VerifyEmailRequest(token=token))
    again = await served(api, "/auth/verify-email", {"token": token})
    if when == "after":
        refused(again, 400, "CODE_INVALID")
    else:
        assert again.status_code == 200
    assert (await login(api, user_id))["user"]["emailVerified"] is True


@around_the_commit
async def test_a_refresh(site: Ground, api: httpx.AsyncClient, user_id: str, when: str) -> None:
    """With its key the same successor comes again, however late; the session has one rotation."""
    session = await signed_in(api, user_id)
    first, key = session["refreshToken"], f"key-{uuid.uuid4()}"
    request = RefreshRequest(refresh_token=first)
    await dies(site, when, "Refresh", request, key, REFRESH)
    replies = [await served(api, "/auth/refresh", {"refreshToken": first}, key) for _ in range(3)]
    assert {reply.status_code for reply in replies} == {200}
    (successor,) = {reply.json()["data"]["refreshToken"] for reply in replies}
    following = await served(api, "/auth/refresh", {"refreshToken": successor})
    assert following.status_code == 200
    assert following.json()["data"]["refreshToken"] not in {first, successor}
