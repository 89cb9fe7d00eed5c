"""Users of a running Finlink who sign in, over gRPC."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import grpc
from finlink.identity.v1 import (
    auth_service_pb2_grpc,
    external_pb2,
    login_pb2,
    phone_pb2,
    registration_pb2,
)

from tests.e2e.connector_steps import new_login
from tests.e2e.identity_steps import PASSWORD
from tests.e2e.phones import new_number
from tests.observability.monitored import GONE, LIMITS
from tests.providers import REDIRECT

MORE_THAN_WAIT = 40  # logins, for one process


@dataclass(frozen=True)
class Users:
    """Those who call one server."""

    auth: Any

    @classmethod
    def of(cls, channel: grpc.aio.Channel) -> Users:
        return cls(auth_service_pb2_grpc.AuthServiceStub(channel))

    async def register(self) -> str:
        """A new user's `userId`."""
        user_id = f"user_{new_login()}"
        await self.auth.Register(
            registration_pb2.RegisterRequest(
                email=f"{user_id}@example.com", password=PASSWORD, user_id=user_id
            )
        )
        return user_id

    async def sign_in(self, user_id: str) -> str:
        """A session's first refresh token."""
        reply = await self.auth.Login(login_pb2.LoginRequest(username=user_id, password=PASSWORD))
        return str(reply.data.refresh_token)

    async def mistype(self, user_id: str) -> None:
        request = login_pb2.LoginRequest(username=user_id, password="wrong")
        assert await _refusal(self.auth.Login(request)) is grpc.StatusCode.UNAUTHENTICATED

    async def reuse_a_token(self, user_id: str) -> None:
        """Give back a refresh token whose successor was used, as a thief does, or its victim."""
        first = await self.sign_in(user_id)
        await self._refresh(await self._refresh(first))
        reused = self._refresh(first)
        assert await _refusal(reused) is grpc.StatusCode.UNAUTHENTICATED

    async def all_at_once(self) -> None:
        """Too many for the work on their passwords, by names that nobody has: some are rejected."""
        requests = [
            login_pb2.LoginRequest(username=new_login(), password=PASSWORD)
            for _ in range(MORE_THAN_WAIT)
        ]
        refusals = await asyncio.gather(*(_refusal(self.auth.Login(each)) for each in requests))
        rejected = grpc.StatusCode.UNAVAILABLE
        assert set(refusals) == {rejected, grpc.StatusCode.UNAUTHENTICATED}

    async def ask_for_codes(self) -> None:
        """By SMS, to numbers that nobody has: one more than may be sent in an hour."""
        numbers = [new_number() for _ in range(int(LIMITS["SMS_PER_HOUR"]) + 1)]
        for number in numbers:
            request = phone_pb2.SendOtpRequest(phone_number=number)
            refusal = await _refusal(self.auth.SendOtp(request))
        assert refusal is grpc.StatusCode.UNAVAILABLE

    async def go_to_a_provider(self) -> None:
        """One that cannot be reached."""
        request = external_pb2.StartExternalRequest(provider=GONE, redirect_uri=REDIRECT)
        assert await _refusal(self.auth.StartExternal(request)) is grpc.StatusCode.UNAVAILABLE

    async def _refresh(self, token: str) -> str:
        reply = await self.auth.Refresh(login_pb2.RefreshRequest(refresh_token=token))
        return str(reply.data.refresh_token)


async def _refusal(call: Any) -> grpc.StatusCode | None:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return None
