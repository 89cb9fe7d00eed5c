"""Renews the tokens of a session, once for all calls that wait for it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import grpc
from finlink.identity.v1.session_pb2 import SessionData

from finlink_client.errors import FinlinkError
from finlink_client.gen.reasons import DeadlineExceeded
from finlink_client.policy import IDEMPOTENCY_KEY
from finlink_client.sessions import Refresh, Session, Step

if TYPE_CHECKING:  # exists for type checkers only
    from finlink.identity.v1.auth_service_pb2_grpc import AuthServiceAsyncStub, AuthServiceStub


class AsyncRenewing:
    """For asyncio."""

    def __init__(self, session: Session, auth: AuthServiceAsyncStub) -> None:
        self.session = session
        self._auth = auth
        self._lock = asyncio.Lock()

    async def token(self, seconds: float, expired: str | None = None) -> str:
        """An access token that lives, another than `expired`. Raises FinlinkError."""
        if (token := self.session.usable(expired)) is not None:
            return token
        try:
            async with asyncio.timeout(seconds), self._lock:
                return await self._renewed(self.session.renewal(expired), seconds)
        except TimeoutError:
            raise _late() from None

    async def _renewed(self, steps: Generator[Step, SessionData, str], seconds: float) -> str:
        try:
            step = next(steps)
            while True:
                try:
                    data = await self._call(step, seconds)
                except FinlinkError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(data)
        except StopIteration as done:
            return str(done.value)

    async def _call(self, step: Step, seconds: float) -> SessionData:
        if isinstance(step, Refresh):
            return (
                await self._auth.Refresh(step.request, timeout=seconds, metadata=_metadata(step))
            ).data
        return (await self._auth.Login(step, timeout=seconds)).data


class BlockingRenewing:
    """For threads."""

    def __init__(self, session: Session, auth: AuthServiceStub) -> None:
        self.session = session
        self._auth = auth
        self._lock = threading.Lock()

    def token(self, seconds: float, expired: str | None = None) -> str:
        """An access token that lives, another than `expired`. Raises FinlinkError."""
        if (token := self.session.usable(expired)) is not None:
            return token
        deadline = time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            raise _late()
        try:
            with self.session.store.lock():
                return self._renewed(self.session.renewal(expired), deadline)
        finally:
            self._lock.release()

    def _renewed(self, steps: Generator[Step, SessionData, str], deadline: float) -> str:
        try:
            step = next(steps)
            while True:
                try:
                    data = self._call(step, max(0.0, deadline - time.monotonic()))
                except FinlinkError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(data)
        except StopIteration as done:
            return str(done.value)

    def _call(self, step: Step, seconds: float) -> SessionData:
        if isinstance(step, Refresh):
            return self._auth.Refresh(step.request, timeout=seconds, metadata=_metadata(step)).data
        return self._auth.Login(step, timeout=seconds).data


def _metadata(step: Refresh) -> Any:
    return ((IDEMPOTENCY_KEY, step.key),)


def _late() -> DeadlineExceeded:
    return DeadlineExceeded(
        "DEADLINE_EXCEEDED",
        "The next access token did not come in time",
        grpc_code=grpc.StatusCode.DEADLINE_EXCEEDED,
    )
