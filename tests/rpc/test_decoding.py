"""How large a message may be, which Envoy cannot say of one over gRPC."""

from __future__ import annotations

from typing import Any, cast

import pytest
from finlink.users.v1.user_creation_pb2 import CreateUserRequest

from server.core.errors import InvalidRequest, PayloadTooLarge
from server.rpc.call import Call, Context, Handler, enter_call
from server.rpc.method import Method
from server.rpc.middleware.decoding import request_decoding
from tests.contract.descriptors import methods

CREATE = next(method for method in methods() if method.descriptor.name == "CreateUser")


@pytest.mark.parametrize("kib", [0, 128])
async def test_a_message_may_be_as_large_as_its_rpc_says(kib: int) -> None:
    method = Method(CREATE.descriptor)
    if kib:
        method.max_request_bytes = kib * 1024  # in the contract's place
    most = kib or 64
    for extra, refusal in ((0, InvalidRequest), (1, PayloadTooLarge)):
        content = message(most * 1024 + extra)
        enter_call(Call(method.path, "id", None, "peer"))
        handle = request_decoding(method, cast("Handler", nobody))
        with pytest.raises(refusal) as raised:
            await handle(content, cast("Context", None))
    assert str(raised.value) == f"The request is larger than {most} KiB"


async def nobody(_request: Any, _context: Any) -> bytes:
    raise AssertionError("no such message passes")


def message(size: int) -> bytes:
    """A message of so many bytes, with a city that is far too long."""
    overhead = len(CreateUserRequest(city="x" * 60_000).SerializeToString()) - 60_000
    content = CreateUserRequest(city="x" * (size - overhead)).SerializeToString()
    assert len(content) == size
    return content
