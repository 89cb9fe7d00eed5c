"""What gRPC allows beside a plain call: deadlines of streams, calls without a message, reflection."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2 as reflection

from server.rpc.method import Method
from tests.contract.descriptors import ids, methods_for_nobody, services
from tests.e2e.users_errors import Failure, grpc_error

METHODS = methods_for_nobody()
WATCH = "/finlink.connectors.v1.ConnectorService/WatchConnectors"
VERSIONS = ("v1", "v1alpha")
INFRASTRUCTURE = {
    "grpc.health.v1.Health",
    *(f"grpc.reflection.{version}.ServerReflection" for version in VERSIONS),
}
# So that a call that never ends fails its test.
ENOUGH = 30.0


def called(channel: grpc.aio.Channel, path: str, *messages: bytes) -> Any:
    """A call of these messages, of a method of whatever kind."""
    method: Any = channel.stream_stream(path)
    return method(iter(messages), timeout=ENOUGH)


# --- deadlines --------------------------------------------------------------------------------


async def test_a_stream_whose_deadline_passes_is_never_anything_else(
    channel: grpc.aio.Channel,
) -> None:
    """They pass all over some time, as what ends first, caller or stream, is a matter of luck."""

    watch: Any = channel.unary_stream(WATCH)

    async def watched(seconds: float) -> grpc.StatusCode:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            async for _ in watch(b"", timeout=seconds):
                pass
        return raised.value.code()

    found = await asyncio.gather(*(watched(0.4 + turn * 0.009) for turn in range(100)))
    assert Counter(found) == {grpc.StatusCode.DEADLINE_EXCEEDED: 100}


# --- calls without a message ------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))
async def test_a_call_that_ends_without_a_message(
    channel: grpc.aio.Channel, method: Method
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await anext(aiter(called(channel, method.path)))
    assert grpc_error(raised.value) == Failure(
        "VALIDATION_ERROR", "The call ended without a request message"
    )


@pytest.mark.parametrize("name", ["Check", "List", "Watch"])
async def test_a_call_of_health_that_ends_without_a_message(
    channel: grpc.aio.Channel, name: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await anext(aiter(called(channel, f"/grpc.health.v1.Health/{name}")))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


# --- reflection -------------------------------------------------------------------------------


async def reflected(
    channel: grpc.aio.Channel, version: str, requests: Iterable[Mapping[str, Any]]
) -> list[reflection.ServerReflectionResponse]:
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        reflection.ServerReflectionRequest.SerializeToString,
        reflection.ServerReflectionResponse.FromString,
    )
    sent = [reflection.ServerReflectionRequest(**each) for each in requests]
    found = [each async for each in call(iter(sent), timeout=ENOUGH)]
    assert not [each.error_response for each in found if each.HasField("error_response")]
    return found


async def described(
    channel: grpc.aio.Channel, version: str, symbols: Iterable[str]
) -> dict[str, FileDescriptorProto]:
    """All files of these symbols, by name."""
    requests = [{"file_containing_symbol": symbol} for symbol in symbols]
    return {
        file.name: file
        for reply in await reflected(channel, version, requests)
        for content in reply.file_descriptor_response.file_descriptor_proto
        for file in [FileDescriptorProto.FromString(content)]
    }


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_reflection_lists_is_described_and_served(
    channel: grpc.aio.Channel, version: str
) -> None:
    (reply,) = await reflected(channel, version, [{"list_services": ""}])
    listed = {service.name for service in reply.list_services_response.service}
    assert listed == {service.full_name for service in services()} | INFRASTRUCTURE
    files = (await described(channel, version, listed)).values()
    assert {each for file in files for each in file.dependency} <= {file.name for file in files}
    paths = {
        (f"{file.package}.{service.name}", method.name)
        for file in files
        for service in file.service
        for method in service.method
    }
    assert {service for service, _ in paths} == listed
    assert await described(channel, version, (f"{service}.{name}" for service, name in paths))
    for service, name in paths:
        call = called(channel, f"/{service}/{name}")
        code = await call.code()
        assert code is not grpc.StatusCode.UNIMPLEMENTED, (service, name)


async def test_health_is_listed(channel: grpc.aio.Channel) -> None:
    (reply,) = [each async for each in called(channel, "/grpc.health.v1.Health/List", b"")]
    listed = cast("Any", health_pb2).HealthListResponse.FromString(reply).statuses
    assert set(listed) == {"", *(service.full_name for service in services())}
    assert {each.status for each in listed.values()} == {health_pb2.HealthCheckResponse.SERVING}
