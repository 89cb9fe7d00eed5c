"""Calls of RPCs by name, whatever service and module they are in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from finlink_cli import contract
from finlink_cli.cli import Cli
from finlink_cli.contract import Rpc
from finlink_cli.failures import wrong_usage

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor

_ID = re.compile(r"[0-9a-fA-F]{24}")


def method_of(rpc: Rpc) -> MethodDescriptor:
    services = import_module(rpc.module).DESCRIPTOR.services_by_name
    found: MethodDescriptor = services[rpc.service.rpartition(".")[2]].methods_by_name[rpc.method]
    return found


def blank(rpc: Rpc, **fields: Any) -> Any:
    """A request with these fields alone."""
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(method_of(rpc).input_type)(**fields)


def call(cli: Cli, rpc: Rpc, request: Any, **settings: Any) -> Any:
    """The one reply to a request, or to a stream of them."""
    function = _callable(cli, rpc, "unary")
    if not method_of(rpc).client_streaming:
        return function(request, **settings)
    import grpc
    from finlink_client.failures import from_stream_error

    try:
        return cli.finlink.stream(function)(request)
    except grpc.RpcError as error:
        raise from_stream_error(error) from error


def stream(cli: Cli, rpc: Rpc, request: Any) -> Iterator[Any]:
    """The replies to a request, also where there is but one."""
    if not method_of(rpc).server_streaming:
        return iter([call(cli, rpc, request)])
    from finlink_client.exporting import export_blocking

    function = _callable(cli, rpc, "stream")
    return export_blocking(partial(cli.finlink.stream(function), request))


def named(cli: Cli, method: str) -> Callable[..., Any]:
    """An RPC to call with a request."""
    return partial(call, cli, contract.find(method))


def reply(cli: Cli, method: str, **fields: Any) -> Any:
    """The reply of an RPC to a request with these fields."""
    rpc = contract.find(method)
    return call(cli, rpc, blank(rpc, **fields))


def connector_id(cli: Cli, connector: str) -> str:
    """The id of CONNECTOR, which is that or USER/PLATFORM. Raises Failure."""
    if _ID.fullmatch(connector):
        return connector
    user_id, slash, platform = connector.partition("/")
    if not (slash and user_id and platform):
        mine = f"'finlink connectors list --user {user_id}' shows those of the user {user_id}."
        raise wrong_usage(
            f"'{connector}' names no connector: it is USER/PLATFORM, or an id of 24 hexadecimal digits",
            mine if user_id else "'finlink connectors list' shows those there are.",
        )
    cli.names.update(user=user_id, platform=platform, connector=connector)
    found = reply(cli, "GetUserPlatformConnector", user_id=user_id, platform=platform)
    return str(found.data.connector.id)


def names(cli: Cli) -> Mapping[str, str]:
    """The user, platform and connector that a command is about, as far as they can be known."""
    from finlink_client import FinlinkError

    if "connector" in cli.names and "user" not in cli.names:
        with suppress(FinlinkError):
            found = reply(cli, "GetConnector", connector_id=cli.names["connector"]).data
            cli.names.update(user=found.user_id, platform=found.platform)
    return cli.names


def _callable(cli: Cli, rpc: Rpc, replies: str) -> Any:
    from google.protobuf.message_factory import GetMessageClass

    method = method_of(rpc)
    requests = "stream" if method.client_streaming else "unary"
    make = getattr(cli.finlink.channel, f"{requests}_{replies}")
    return make(
        f"/{rpc.service}/{rpc.method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
