"""Which names of a request's fields may be logged."""

from __future__ import annotations

from google.protobuf import struct_pb2

from server.rpc.middleware.errors import names_of


def test_a_message_may_have_its_own_kind_inside() -> None:
    names = names_of(struct_pb2.Struct.DESCRIPTOR)
    assert {"fields", "key", "value", "structValue", "listValue", "values"} <= names
