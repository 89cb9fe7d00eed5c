"""gRPC reflection, as `grpc.reflection.v1` and as `v1alpha`, which older tools speak."""

from collections.abc import Sequence
from typing import Any, cast

import grpc
from google.protobuf import descriptor_pool, text_format
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2 as rpc
from grpc_reflection.v1alpha._async import ReflectionServicer

from server.rpc.handlers import Services

_POOL = descriptor_pool.Default()
_SERVICE = rpc.DESCRIPTOR.services_by_name["ServerReflection"]
NAMES = (_SERVICE.full_name.replace("v1alpha", "v1"), _SERVICE.full_name)


def add_to(services: Services, names: Sequence[str]) -> None:
    """Serve reflection of the named services and of itself."""
    _describe_v1()
    servicer = ReflectionServicer([*names, *NAMES], _Pool())
    for name in NAMES:  # their messages are the same
        handler = grpc.stream_stream_rpc_method_handler(
            cast("Any", servicer.ServerReflectionInfo),
            request_deserializer=rpc.ServerReflectionRequest.FromString,
            response_serializer=rpc.ServerReflectionResponse.SerializeToString,
        )
        services.add_registered_method_handlers(name, {"ServerReflectionInfo": handler})


class _Pool:
    """The pool of all descriptors, which also finds where a method is."""

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802
        """Raises KeyError."""
        try:
            return _POOL.FindFileContainingSymbol(symbol)
        except KeyError:
            service, _, method = symbol.rpartition(".")
            return _POOL.FindServiceByName(service).methods_by_name[method].containing_service.file

    def __getattr__(self, name: str) -> Any:
        return getattr(_POOL, name)


def _describe_v1() -> None:
    """The library has v1alpha alone."""
    file = FileDescriptorProto()
    rpc.DESCRIPTOR.CopyToProto(file)
    text = text_format.MessageToString(file).replace("v1alpha", "v1")
    file = text_format.Parse(text, FileDescriptorProto())
    _POOL.AddSerializedFile(file.SerializeToString())
