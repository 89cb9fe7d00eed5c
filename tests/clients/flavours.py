"""The two flavours of the client, called the same way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import finlink_client
import grpc
from finlink_client import BlockingFinlink, Finlink, policy
from google.protobuf.message import Message

from codegen import client_lists
from codegen.derived_rules import Contract
from tests.contract.descriptors import descriptor_set

SERVICES = {
    f"{service.file.rpartition('/')[0].replace('/', '.')}.{service.name}": service.attribute
    for service in client_lists.services(Contract(descriptor_set()))
}
_METHODS = {method.input_type.full_name: method for method in policy.METHODS.values()}


@dataclass(frozen=True)
class Client:
    """A client of either flavour; blocking calls run in a thread."""

    finlink: Finlink | BlockingFinlink

    async def call(self, request: Message, **options: Any) -> Any:
        """Call the RPC that `request` belongs to."""
        method = _METHODS[request.DESCRIPTOR.full_name]
        service = getattr(self.finlink, SERVICES[method.containing_service.full_name])
        return await self._run(getattr(service, method.name), request, **options)

    async def call_path(self, path: str) -> Any:
        """Call an RPC that has no stub."""
        return await self._run(self.finlink.channel.unary_unary(path), b"")

    async def iterate(self, name: str, *arguments: Any, **options: Any) -> list[Any]:
        """All that `finlink.iterate_NAME` yields."""
        return await self._all(getattr(self.finlink, f"iterate_{name}")(*arguments, **options))

    async def export(self, request: Message, **options: Any) -> list[Any]:
        """All that `finlink.export_user` yields."""
        return await self._all(self.finlink.export_user(cast("Any", request), **options))

    async def watch(self, request: Message | None = None) -> AsyncIterator[Any]:
        """What `finlink.watch_connectors` yields."""
        iterator = self.finlink.watch_connectors(cast("Any", request))
        if isinstance(iterator, AsyncGenerator):
            async with aclosing(iterator):
                async for event in iterator:
                    yield event
            return
        events = cast("Generator[Any, None, None]", iterator)
        nothing = object()
        while (item := await asyncio.to_thread(next, events, nothing)) is not nothing:
            yield item

    async def _all(self, iterator: Any) -> list[Any]:
        if isinstance(self.finlink, Finlink):
            return [item async for item in iterator]
        return await asyncio.to_thread(list, iterator)

    async def close(self) -> None:
        if isinstance(self.finlink, Finlink):
            await self.finlink.close()
        else:
            await asyncio.to_thread(self.finlink.close)

    async def _run(self, call: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(self.finlink, Finlink):
            return await call(*arguments, **options)
        return await asyncio.to_thread(call, *arguments, **options)


@dataclass(frozen=True)
class Flavour:
    """`async` or `blocking`."""

    name: str

    @asynccontextmanager
    async def connect(
        self, address: str, *, credentials: grpc.ChannelCredentials | None = None, **options: Any
    ) -> AsyncIterator[Client]:
        if self.name == "async":
            async with finlink_client.connect(
                address, credentials=credentials, **options
            ) as finlink:
                yield Client(finlink)
        else:
            with finlink_client.connect_blocking(
                address, credentials=credentials, **options
            ) as blocking:
                yield Client(blocking)
