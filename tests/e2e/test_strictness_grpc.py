"""Bad input of every kind over gRPC: the documented error with its details, and nothing changed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from finlink.users.v1 import user_creation_pb2, user_lists_pb2
from finlink.users.v1 import user_service_pb2 as rpc
from finlink.users.v1.user_service_pb2_grpc import UserServiceStub
from google.protobuf.descriptor import FieldDescriptor
from pymongo import MongoClient

from server.rpc.method import Method
from tests.contract.descriptors import ids, methods_for_nobody
from tests.e2e.users_errors import Failure, grpc_error
from tests.gathered_requests import contents, opened
from tests.stack import Stack

METHODS = methods_for_nobody()
USERS = "/finlink.users.v1.UserService"


@pytest.fixture(scope="module")
def wire(stack: Stack) -> Iterator[grpc.Channel]:
    """A channel for bytes as they are."""
    with grpc.insecure_channel(stack.grpc) as opened_channel:
        yield opened_channel


@pytest.fixture(scope="module")
def victim(wire: grpc.Channel) -> str:
    """A user that calls could do harm to."""
    user_id = f"strict_{uuid.uuid4().hex[:12]}"
    UserServiceStub(wire).CreateUser(
        user_creation_pb2.CreateUserRequest(
            user_id=user_id, email=f"{user_id}@example.com", city="Pune"
        )
    )
    return user_id


@pytest.fixture(scope="module")
def mongo(stack: Stack) -> Iterator[MongoClient[dict[str, Any]]]:
    with opened(stack) as client:
        yield client


@pytest.fixture(autouse=True)
def _nothing_changes(victim: str, mongo: MongoClient[dict[str, Any]]) -> Iterator[None]:
    before = contents(mongo)
    assert mongo["financial_app"]["users"].count_documents({"userId": victim}) == 1
    yield
    assert contents(mongo) == before


def refused(
    wire: grpc.Channel, path: str, content: bytes, metadata: dict[str, str] | None = None
) -> Failure:
    """The error of a call with these bytes, which must fail."""
    call = wire.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
    with pytest.raises(grpc.RpcError) as raised:
        call(content, metadata=tuple((metadata or {}).items()))
    return grpc_error(raised.value)


def text_field(number: int, content: bytes) -> bytes:
    """A string field on the wire."""
    tag, size = (number << 3) | 2, len(content)
    assert tag < 128
    length = b""
    while size >= 128:
        length += bytes([size % 128 + 128])
        size //= 128
    return bytes([tag]) + length + bytes([size]) + content


GARBAGE = {
    "no protobuf": b"\xff\xff\xff",
    "JSON": b'{"userId": "a"}',
    "a length without its content": b"\x0a\x7f",
    "an endless number": b"\x08" + b"\xff" * 20,
    "a group that does not end": b"\x0b",
    "field number 0": b"\x02\x01a",
}


WITH_FIELDS = [method for method in METHODS if method.request.fields]


@pytest.mark.parametrize("method", WITH_FIELDS, ids=ids(WITH_FIELDS))
def test_bytes_that_are_no_message(wire: grpc.Channel, method: Method) -> None:
    for content in GARBAGE.values():
        failure = refused(wire, method.path, content)
        assert failure == Failure(
            "VALIDATION_ERROR",
            f"The request is not a valid {method.request.full_name} message",
        )


STRINGS = [
    (method, field)
    for method in METHODS
    for field in method.request.fields
    if field.type == FieldDescriptor.TYPE_STRING and field.number < 16
]


@pytest.mark.parametrize(
    ("method", "field"),
    STRINGS,
    ids=[f"{method.descriptor.name}.{field.name}" for method, field in STRINGS],
)
def test_a_string_that_is_not_utf_8(
    wire: grpc.Channel, method: Method, field: FieldDescriptor
) -> None:
    for content in (b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"Pune\xe0\xa4"):
        failure = refused(wire, method.path, text_field(field.number, content))
        assert failure.code == "VALIDATION_ERROR"


def test_control_characters(wire: grpc.Channel, victim: str) -> None:
    for character in (b"\x00", b"\n", b"\x7f", b"\xc2\x85"):
        content = text_field(1, victim.encode()) + text_field(6, b"Pu" + character + b"ne")
        failure = refused(wire, f"{USERS}/UpdateUserProfile", content)
        assert failure.code == "VALIDATION_ERROR"
        assert failure.fields == {"city": "must not contain control characters"}


@pytest.mark.parametrize(
    "path",
    [f"{USERS}/Nope", f"{USERS}/createUser", f"{USERS}/", "/finlink.users.v1.Users/GetUser",
     "/UserService/GetUser", "/finlink.loans.v1.LoanService/GetLoan", "/", "/x", "/api/v1/users",
     f"{USERS}/{'N' * 3_000}"],
)  # fmt: skip
def test_unknown_methods(wire: grpc.Channel, path: str) -> None:
    failure = refused(wire, path, b"")
    assert failure.code == "ROUTE_NOT_FOUND"
    assert failure.message == f"No such method: {path}"[:300]


@pytest.mark.parametrize("size", [300 * 1024, 1024 * 1024])
def test_a_message_that_is_too_large(wire: grpc.Channel, victim: str, size: int) -> None:
    content = text_field(1, victim.encode()) + text_field(6, b"x" * size)
    failure = refused(wire, f"{USERS}/UpdateUserProfile", content)
    assert failure.code == "PAYLOAD_TOO_LARGE"


def test_a_field_that_is_too_long(wire: grpc.Channel, victim: str) -> None:
    content = text_field(1, victim.encode()) + text_field(6, b"x" * 60_000)
    failure = refused(wire, f"{USERS}/UpdateUserProfile", content)
    assert failure.code == "VALIDATION_ERROR"
    assert failure.fields.keys() == {"city"}


HEADERS = {
    "x-envoy-original-path": "/api/v1/users/other/profile?city=Delhi",
    "x-finlink-status": "204",
    "x-finlink-error": "{}",
}


def test_headers_of_ours_are_taken_from_nobody(wire: grpc.Channel, victim: str) -> None:
    """They would make a gRPC call look like a REST one."""
    method = f"{USERS}/UpdateUserProfile"
    failure = refused(wire, method, text_field(1, victim.encode()), HEADERS)
    assert failure == Failure(
        "VALIDATION_ERROR",
        "Nothing to update: send at least one field, or name one in updateMask",
    )
    user = UserServiceStub(wire).GetUser(
        rpc.GetUserRequest(user_id=victim), metadata=tuple(HEADERS.items())
    )
    assert user.data.profile.city == "Pune"


def test_the_body_field_of_the_transcoder_is_nothing_here(wire: grpc.Channel, victim: str) -> None:
    """Envoy puts REST bodies into field 50700; a gRPC caller's is an unknown field like any other."""
    body = text_field(2, b'{"city": "Delhi"}')
    content = text_field(1, victim.encode()) + b"\xe2\xe0\x18" + bytes([len(body)]) + body
    failure = refused(wire, f"{USERS}/UpdateUserProfile", content, HEADERS)
    assert failure.code == "VALIDATION_ERROR"
    assert failure.message.startswith("Nothing to update")


def test_the_details_of_many_errors_always_arrive(wire: grpc.Channel) -> None:
    """Clients refuse metadata beyond 8 KiB, at first now and then."""
    request = user_lists_pb2.BatchGetUsersRequest(user_ids=[f"no spaces {n}" for n in range(100)])
    for _ in range(60):
        failure = refused(wire, f"{USERS}/BatchGetUsers", request.SerializeToString())
        assert failure.code == "VALIDATION_ERROR"
        assert "userIds[0]" in failure.fields
        assert failure.fields[""].startswith("and ")
