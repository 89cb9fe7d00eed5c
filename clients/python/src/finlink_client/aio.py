"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import grpc
from finlink.connectors.v1.connector_pb2 import ConnectorSummary
from finlink.connectors.v1.connector_reads_pb2 import ListConnectorsRequest
from finlink.connectors.v1.record_pb2 import ListRecordsRequest, Record
from finlink.connectors.v1.watch_pb2 import WatchConnectorsRequest, WatchConnectorsResponse
from finlink.exports.v1.export_service_pb2 import ExportUserRequest, ExportUserResponse
from finlink.users.v1.user_lists_pb2 import ListUsersRequest
from finlink.users.v1.user_pb2 import User

from finlink_client import policy
from finlink_client.errors import Cancelled
from finlink_client.exporting import export
from finlink_client.failures import from_rpc_error
from finlink_client.gen.reasons import Internal
from finlink_client.gen.services import AsyncServices
from finlink_client.paging import pages
from finlink_client.watching import watch

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
) -> Finlink:
    """A client of the Finlink at `address`, for the event loop that runs now.

    address: `HOST:PORT`; else FINLINK_ADDRESS, else localhost:50051.

    credentials: for TLS; without them the connection is not encrypted.
    timeout: seconds for a call that is not given its own.
    platform_timeout: the same for calls that wait for a platform: connecting and refreshing.
    api_key: sent with every call.
    access_token: the same, of a user who has signed in: calls may do what the user may.

    It connects with its first call, and again by itself whenever the connection is lost.
    """
    asyncio.get_running_loop()  # raises RuntimeError where there is none
    calls = _Calls(policy.Defaults(timeout, platform_timeout, api_key, access_token))
    address = policy.address(address)
    options = policy.channel_options()
    if credentials is None:
        channel = grpc.aio.insecure_channel(address, options=options, interceptors=[calls])
    else:
        channel = grpc.aio.secure_channel(
            address, credentials, options=options, interceptors=[calls]
        )
    return Finlink(channel, calls)


class Finlink(AsyncServices):
    """Finlink's services over one channel. Made by `connect`.

    users, connectors, …: the generated stubs. Calls raise FinlinkError; for the streams there are
        `watch_connectors` and `export_user`, the stub alone gives gRPC's own.
    channel: the channel itself, for services that have no stub here, as gRPC's health service.
    """

    def __init__(self, channel: grpc.aio.Channel, calls: _Calls) -> None:
        super().__init__(channel)
        self.channel = channel
        self._calls = calls

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
        headers = self._calls.defaults.headers_of_stream()
        return watch(partial(self.connectors.WatchConnectors, metadata=headers), request)

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
        headers = self._calls.defaults.headers_of_stream()
        call = partial(self.export.ExportUser, request, metadata=headers, timeout=timeout)
        return export(call)


class _Calls(grpc.aio.UnaryUnaryClientInterceptor):
    """Gives each call its deadline and keys, and its failure as a FinlinkError."""

    def __init__(self, defaults: policy.Defaults) -> None:
        self.defaults = defaults
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
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - gRPC runs this in a task of the call
        call = await continuation(self._completed(client_call_details), request)
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
