"""The client for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from finlink.connectors.v1.connector_pb2 import ConnectorSummary
from finlink.connectors.v1.connector_reads_pb2 import ListConnectorsRequest
from finlink.connectors.v1.record_pb2 import ListRecordsRequest, Record
from finlink.connectors.v1.watch_pb2 import WatchConnectorsRequest, WatchConnectorsResponse
from finlink.exports.v1.export_service_pb2 import ExportUserRequest, ExportUserResponse
from finlink.identity.v1.login_pb2 import LoginRequest
from finlink.identity.v1.session_pb2 import SessionData
from finlink.users.v1.user_lists_pb2 import ListUsersRequest
from finlink.users.v1.user_pb2 import User

from finlink_client import policy, sessions
from finlink_client.errors import Cancelled, FinlinkError
from finlink_client.exporting import export
from finlink_client.failures import from_rpc_error
from finlink_client.gen.reasons import Internal
from finlink_client.gen.services import AsyncServices
from finlink_client.paging import pages
from finlink_client.renewing import AsyncRenewing
from finlink_client.sessions import Session
from finlink_client.watching import Position, watch

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


def connect(
    address: str | None = None,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    timeout: float = policy.DEADLINE,
    platform_timeout: float = policy.PLATFORM_DEADLINE,
    api_key: str | None = None,
    access_token: str | None = None,
    login: LoginRequest | None = None,
    refresh_token: str | None = None,
    on_session: Callable[[SessionData], None] | None = None,
) -> Finlink:
    """A client of the Finlink at `address`, for the event loop that runs now.

    address: `HOST:PORT`; else FINLINK_ADDRESS, else localhost:50051.

    credentials: for TLS; without them the connection is not encrypted.
    timeout: seconds for a call that is not given its own.
    platform_timeout: the same for calls that wait for a platform: connecting and refreshing.
    api_key: sent with every call.
    access_token: the same, of a user who has signed in: calls may do what the user may.
    login, refresh_token: of that user, instead: access tokens are fetched with either, and again before they
        expire. A session that has ended is begun again with the login.
    on_session: gets each new session or pair of tokens. A refresh token is good once: keep the newest.

    It connects with its first call, and again by itself whenever the connection is lost.
    """
    asyncio.get_running_loop()  # raises RuntimeError where there is none
    session = sessions.of_arguments(login, refresh_token, on_session, access_token=access_token)
    calls = _Calls(policy.Defaults(timeout, platform_timeout, api_key, access_token))
    address = policy.address(address)
    options = policy.channel_options()
    if credentials is None:
        channel = grpc.aio.insecure_channel(address, options=options, interceptors=[calls])
    else:
        channel = grpc.aio.secure_channel(
            address, credentials, options=options, interceptors=[calls]
        )
    return Finlink(channel, calls, session)


class Finlink(AsyncServices):
    """Finlink's services over one channel. Made by `connect`.

    users, connectors, …: the generated stubs. Calls raise FinlinkError; for the streams there are
        `watch_connectors` and `export_user`, the stub alone gives gRPC's own.
    channel: the channel itself, for services that have no stub here, as gRPC's health service.
    """

    def __init__(
        self, channel: grpc.aio.Channel, calls: _Calls, session: Session | None = None
    ) -> None:
        super().__init__(channel)
        self.channel = channel
        self._calls = calls
        if session is not None:
            calls.renewing = AsyncRenewing(session, self.auth)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. Calls under way raise Cancelled, later ones RuntimeError."""
        await self._calls.close()
        await self.channel.close()

    async def iterate_users(
        self,
        request: ListUsersRequest | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC's deadline of each call
    ) -> AsyncIterator[User]:
        """Every user that passes the filters of `request`, page by page."""
        first = request or ListUsersRequest()
        async for page in pages(self.users.ListUsers, first, timeout):
            for user in page.data.users:
                yield user

    async def iterate_connectors(
        self,
        request: ListConnectorsRequest | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncIterator[ConnectorSummary]:
        """Every connector that passes the filters of `request`, page by page."""
        first = request or ListConnectorsRequest()
        async for page in pages(self.connectors.ListConnectors, first, timeout):
            for connector in page.data.connectors:
                yield connector

    async def iterate_records(
        self,
        request: ListRecordsRequest,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncIterator[Record]:
        """Every record of the connector `request` names, page by page."""
        async for page in pages(self.connectors.ListRecords, request, timeout):
            for record in page.data.records:
                yield record

    def watch_connectors(
        self, request: WatchConnectorsRequest | None = None
    ) -> AsyncIterator[WatchConnectorsResponse]:
        """Every event of a watch, for as long as it is listened to; see WatchConnectors in the contract.

        If the stream breaks off, it is resumed after the last event, so none is missed and none comes twice;
        another `ready` shows this. Keep `resume_token` of the last event to go on after a restart. Raises
        ResumeTokenExpired if that was too long ago: list, then watch again.
        """
        stream = _Stream(self._calls, self.connectors.WatchConnectors)
        return watch(stream.opened, Position(request, self._calls.renews))

    def export_user(
        self,
        request: ExportUserRequest,
        *,
        timeout: float | None = None,
    ) -> AsyncIterator[ExportUserResponse]:
        """Everything that Finlink keeps of a user, item by item; see ExportUser in the contract.

        It is complete once the item `completed` has come. If it breaks off, it raises FinlinkError and must
        be begun again. `timeout`: seconds for all of it.
        """
        stream = _Stream(self._calls, partial(self.export.ExportUser, timeout=timeout))
        return export(partial(stream.opened, request), self._calls.renews)


class _Calls(grpc.aio.UnaryUnaryClientInterceptor):
    """Gives each call its deadline and keys, and its failure as a FinlinkError."""

    def __init__(self, defaults: policy.Defaults) -> None:
        self.defaults = defaults
        self.renewing: AsyncRenewing | None = None
        self._closed = False
        self._under_way: dict[grpc.aio.Call, asyncio.Task[object]] = {}

    async def intercept_unary_unary(
        self,
        continuation: Callable[
            [grpc.aio.ClientCallDetails, RequestT],
            Awaitable[grpc.aio.UnaryUnaryCall[RequestT, ResponseT]],
        ],
        client_call_details: grpc.aio.ClientCallDetails,
        request: RequestT,
    ) -> grpc.aio.UnaryUnaryCall[RequestT, ResponseT]:
        if self._closed:
            raise RuntimeError("the client is closed")
        details = self._completed(client_call_details)
        renewing = self._renewing_of(details)
        if renewing is None:
            return await self._made(continuation(self._with_present(details), request))
        deadline = time.monotonic() + (details.timeout or 0)
        token = await renewing.token(details.timeout or 0)
        try:
            return await self._made(continuation(_authorized(details, token, deadline), request))
        except FinlinkError as error:
            if not renewing.session.helps(error):
                raise
            token = await renewing.token(max(0.0, deadline - time.monotonic()), token)
            return await self._made(continuation(_authorized(details, token, deadline), request))

    async def _made(
        self, making: Awaitable[grpc.aio.UnaryUnaryCall[RequestT, ResponseT]]
    ) -> grpc.aio.UnaryUnaryCall[RequestT, ResponseT]:
        """A call that has succeeded. Raises FinlinkError."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - gRPC runs this in a task of the call
        call = await making
        self._under_way[call] = task
        try:
            response = await call
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        except asyncio.CancelledError:
            if task.cancelling():  # by the caller
                raise
            raise Cancelled(
                "CANCELLED", "The client was closed", grpc_code=grpc.StatusCode.CANCELLED
            ) from None
        finally:
            del self._under_way[call]
        if response is None:  # where the blocking flavour has an error, this one has nothing
            raise Internal("INTERNAL", "The reply is not valid", grpc_code=grpc.StatusCode.INTERNAL)
        return call

    def _renewing_of(self, details: grpc.aio.ClientCallDetails) -> AsyncRenewing | None:
        """The renewal of the token that this call needs; None if it needs none, or its caller gave one."""
        given = _is_authorized(details) or not policy.needs_token(details.method)
        return None if given else self.renewing

    def _with_present(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        """A call for everybody, as signing out, shows the token that there is."""
        present = self.renewing.session.present if self.renewing else ""
        return details if _is_authorized(details) or not present else _authorized(details, present)

    def renews(self, error: FinlinkError) -> bool:
        """Whether a stream that ended so may go on with the next token."""
        return self.renewing is not None and self.renewing.session.helps(error)

    def _completed(self, given: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        """The call's details with what its caller did not give."""
        timeout = self.defaults.timeout(given.method) if given.timeout is None else given.timeout
        metadata = given.metadata or grpc.aio.Metadata()
        names = set(metadata.keys())
        missing = (each for each in self.defaults.headers(given.method) if each[0] not in names)
        return grpc.aio.ClientCallDetails(
            given.method,
            timeout,
            grpc.aio.Metadata(*metadata, *missing),
            given.credentials,
            given.wait_for_ready,
        )

    async def close(self) -> None:
        """Refuse new calls and end those under way."""
        self._closed = True
        ending = dict(self._under_way)
        for call in ending:
            call.cancel()
        if ending:
            await asyncio.wait(ending.values())


class _Stream:
    """A stream of one call, opened as often as it takes, each time with a token that lives."""

    def __init__(self, calls: _Calls, call: Callable[..., Any]) -> None:
        self._calls = calls
        self._call = call
        self._token: str | None = None

    async def opened(self, request: Any, expired: bool) -> Any:
        headers = self._calls.defaults.credentials()
        if (renewing := self._calls.renewing) is not None:
            last = self._token if expired else None
            self._token = await renewing.token(policy.DEADLINE, last)
            headers = [*headers, policy.bearer(self._token)]
        return self._call(request, metadata=tuple(headers))


def _is_authorized(details: grpc.aio.ClientCallDetails) -> bool:
    return details.metadata is not None and policy.AUTHORIZATION in set(details.metadata.keys())


def _authorized(
    details: grpc.aio.ClientCallDetails, token: str, deadline: float | None = None
) -> grpc.aio.ClientCallDetails:
    """The call with a token, and the time that is left."""
    left = details.timeout if deadline is None else max(0.0, deadline - time.monotonic())
    metadata = grpc.aio.Metadata(*(details.metadata or ()), policy.bearer(token))
    return grpc.aio.ClientCallDetails(
        details.method, left, metadata, details.credentials, details.wait_for_ready
    )
