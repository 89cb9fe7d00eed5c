"""The client for code without asyncio. Threads may share one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

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
from finlink_client.errors import FinlinkError
from finlink_client.exporting import export_blocking
from finlink_client.failures import from_rpc_error
from finlink_client.gen.services import Services
from finlink_client.paging import pages_blocking
from finlink_client.renewing import BlockingRenewing
from finlink_client.sessions import Session, TokenStore
from finlink_client.watching import Position, watch_blocking

if TYPE_CHECKING:  # exists for type checkers only
    from grpc import _CallFuture

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


def connect_blocking(
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
    token_store: TokenStore | None = None,
) -> BlockingFinlink:
    """A client of the Finlink at `address`, `HOST:PORT`; else FINLINK_ADDRESS, else localhost:50051.

    credentials: for TLS; without them the connection is not encrypted.
    timeout: seconds for a call that is not given its own.
    platform_timeout: the same for calls that wait for a platform: connecting and refreshing.
    api_key: sent with every call.
    access_token: the same, of a user who has signed in: calls may do what the user may.
    login, refresh_token: of that user, instead: access tokens are fetched with either, and again before they
        expire. A session that has ended is begun again with the login.
    on_session: gets each new session or pair of tokens. A refresh token is good once: keep the newest.
    token_store: where the tokens are kept, instead of `refresh_token`, if several processes share them.

    It connects with its first call, and again by itself whenever the connection is lost.
    """
    address = policy.address(address)
    options = policy.channel_options()
    if credentials is None:
        channel = grpc.insecure_channel(address, options=options)
    else:
        channel = grpc.secure_channel(address, credentials, options=options)
    session = sessions.of_arguments(
        login, refresh_token, on_session, token_store, access_token=access_token
    )
    defaults = policy.Defaults(timeout, platform_timeout, api_key, access_token)
    return BlockingFinlink(channel, defaults, session)


class BlockingFinlink(Services):
    """Finlink's services over one channel. Made by `connect_blocking`.

    users, connectors, …: the generated stubs. Calls raise FinlinkError; for the streams there are
        `watch_connectors` and `export_user`, the stub alone gives gRPC's own.
    channel: the channel itself, for services that have no stub here, as gRPC's health service.
    """

    def __init__(
        self, channel: grpc.Channel, defaults: policy.Defaults, session: Session | None = None
    ) -> None:
        self._calls = _Calls(defaults)
        self.channel = grpc.intercept_channel(channel, self._calls)
        super().__init__(self.channel)
        if session is not None:
            self._calls.renewing = BlockingRenewing(session, self.auth)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Calls under way raise Cancelled, later ones RuntimeError."""
        self._calls.closed = True
        self.channel.close()

    def iterate_users(
        self, request: ListUsersRequest | None = None, *, timeout: float | None = None
    ) -> Iterator[User]:
        """Every user that passes the filters of `request`, page by page."""
        first = request or ListUsersRequest()
        for page in pages_blocking(self.users.ListUsers, first, timeout):
            yield from page.data.users

    def iterate_connectors(
        self, request: ListConnectorsRequest | None = None, *, timeout: float | None = None
    ) -> Iterator[ConnectorSummary]:
        """Every connector that passes the filters of `request`, page by page."""
        first = request or ListConnectorsRequest()
        for page in pages_blocking(self.connectors.ListConnectors, first, timeout):
            yield from page.data.connectors

    def iterate_records(
        self, request: ListRecordsRequest, *, timeout: float | None = None
    ) -> Iterator[Record]:
        """Every record of the connector `request` names, page by page."""
        for page in pages_blocking(self.connectors.ListRecords, request, timeout):
            yield from page.data.records

    def watch_connectors(
        self, request: WatchConnectorsRequest | None = None
    ) -> Iterator[WatchConnectorsResponse]:
        """Every event of a watch, for as long as it is listened to; see WatchConnectors in the contract.

        If the stream breaks off, it is resumed after the last event, so none is missed and none comes twice;
        another `ready` shows this. Keep `resume_token` of the last event to go on after a restart. Raises
        ResumeTokenExpired if that was too long ago: list, then watch again.
        """
        stream = self.stream(self.connectors.WatchConnectors)
        return watch_blocking(stream, Position(request, self._calls.renews))

    def export_user(
        self, request: ExportUserRequest, *, timeout: float | None = None
    ) -> Iterator[ExportUserResponse]:
        """Everything that Finlink keeps of a user, item by item; see ExportUser in the contract.

        It is complete once the item `completed` has come. If it breaks off, it raises FinlinkError and must
        be begun again. `timeout`: seconds for all of it.
        """
        stream = self.stream(partial(self.export.ExportUser, timeout=timeout))
        return export_blocking(partial(stream, request), self._calls.renews)

    def stream(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Opens a stream of `call` with the credentials that calls have; for stubs of other services.

        Called with a request, and whether the token that it gave before has expired.
        """
        return _Stream(self._calls, call).opened


@dataclass(frozen=True)
class _Details(grpc.ClientCallDetails):
    method: str
    timeout: float | None
    metadata: Any
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class _Calls(grpc.UnaryUnaryClientInterceptor):
    """Gives each call its deadline and keys, and its failure as a FinlinkError."""

    def __init__(self, defaults: policy.Defaults) -> None:
        self.defaults = defaults
        self.renewing: BlockingRenewing | None = None
        self.closed = False

    def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.ClientCallDetails, RequestT], _CallFuture[ResponseT]],
        client_call_details: grpc.ClientCallDetails,
        request: RequestT,
    ) -> _CallFuture[ResponseT]:
        if self.closed:
            raise RuntimeError("the client is closed")
        details = self._completed(client_call_details)
        renewing = self._renewing_of(details)
        if renewing is None:
            return _outcome(continuation(self._with_present(details), request))
        deadline = time.monotonic() + (details.timeout or 0)
        token = renewing.token(details.timeout or 0)
        call = continuation(_authorized(details, token, deadline), request)
        # One that was made by `.future` and is under way is its caller's to repeat.
        if call.done() and renewing.session.helps(_outcome(call).exception()):
            token = renewing.token(max(0.0, deadline - time.monotonic()), token)
            call = continuation(_authorized(details, token, deadline), request)
        return _outcome(call)

    def _renewing_of(self, details: _Details) -> BlockingRenewing | None:
        """The renewal of the token that this call needs; None if it needs none, or its caller gave one."""
        given = _is_authorized(details) or not policy.needs_token(details.method)
        return None if given else self.renewing

    def _with_present(self, details: _Details) -> _Details:
        """A call for everybody, as signing out, shows the token that there is."""
        present = self.renewing.session.present if self.renewing else ""
        return details if _is_authorized(details) or not present else _authorized(details, present)

    def renews(self, error: FinlinkError) -> bool:
        """Whether a stream that ended so may go on with the next token."""
        return self.renewing is not None and self.renewing.session.helps(error)

    def _completed(self, given: grpc.ClientCallDetails) -> _Details:
        """The call's details with what its caller did not give."""
        timeout = self.defaults.timeout(given.method) if given.timeout is None else given.timeout
        metadata = tuple(given.metadata or ())
        names = {name for name, _ in metadata}
        missing = (each for each in self.defaults.headers(given.method) if each[0] not in names)
        return _Details(
            given.method,
            timeout,
            (*metadata, *missing),
            given.credentials,
            given.wait_for_ready,
            given.compression,
        )


class _Outcome:
    """gRPC's call, but for the errors it raises and returns.

    One that was made by `.future` may still be under way, so it is looked at when it is asked.
    """

    def __init__(self, call: _CallFuture[Any]) -> None:
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def result(self, timeout: float | None = None) -> Any:
        try:
            return self._call.result(timeout)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error

    def exception(self, timeout: float | None = None) -> BaseException | None:
        error = self._call.exception(timeout)
        if isinstance(error, grpc.RpcError):
            return from_rpc_error(error)
        return error

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._call.add_done_callback(lambda _: callback(self))


def _outcome(call: _CallFuture[ResponseT]) -> _CallFuture[ResponseT]:
    return cast("_CallFuture[ResponseT]", _Outcome(call))


class _Stream:
    """A stream of one call, opened as often as it takes, each time with a token that lives."""

    def __init__(self, calls: _Calls, call: Callable[..., Any]) -> None:
        self._calls = calls
        self._call = call
        self._token: str | None = None

    def opened(self, request: Any, expired: bool = False) -> Any:
        headers = self._calls.defaults.credentials()
        if (renewing := self._calls.renewing) is not None:
            self._token = renewing.token(policy.DEADLINE, self._token if expired else None)
            headers = [*headers, policy.bearer(self._token)]
        return self._call(request, metadata=tuple(headers))


def _is_authorized(details: _Details) -> bool:
    return any(name == policy.AUTHORIZATION for name, _ in details.metadata)


def _authorized(details: _Details, token: str, deadline: float | None = None) -> _Details:
    """The call with a token, and the time that is left."""
    left = details.timeout if deadline is None else max(0.0, deadline - time.monotonic())
    return replace(details, timeout=left, metadata=(*details.metadata, policy.bearer(token)))
