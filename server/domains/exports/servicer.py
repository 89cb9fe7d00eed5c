"""The RPCs of finlink.exports.v1.ExportService: call the service, convert out."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from finlink.exports.v1 import export_service_pb2 as rpc
from finlink.exports.v1 import export_service_pb2_grpc

from server.domains.exports.service import ExportService
from server.rpc.call import Context

_PIECES = rpc.ExportUserResponse.DESCRIPTOR.fields_by_name


@dataclass(frozen=True)
class ExportServicer(export_service_pb2_grpc.ExportServiceServicer):
    _service: ExportService
    # How what domains export becomes a message, by its kind.
    _exported: Mapping[str, Callable[[Any], rpc.ExportUserResponse]]

    async def ExportUser(
        self, request: rpc.ExportUserRequest, context: Context
    ) -> AsyncIterator[rpc.ExportUserResponse]:
        counts: Counter[str] = Counter()
        async with aclosing(self._service.export(request.user_id)) as parts:
            async for kind, value in parts:
                counts[_PIECES[kind].json_name] += 1
                yield self._exported[kind](value)
        yield rpc.ExportUserResponse(completed=rpc.ExportCompleted(counts=counts))
