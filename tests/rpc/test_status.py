"""Errors as they travel: within what clients accept, and with the same facts over REST and gRPC."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from server.core.errors import ApiError, FieldError, InvalidRequest
from server.rpc.envelope import failure
from server.rpc.status import STATUSES, capped, grpc_details, rest_error

M = TypeVar("M", bound=Message)

# gRPC clients may refuse 8 KiB of metadata; date, server, request id and the message need some too.
GRPC_METADATA_BYTES = 8 * 1024
OTHER_METADATA_BYTES = 512
REST_HEADER_BYTES = 60 * 1024

FIELDS = st.lists(
    st.builds(
        FieldError,
        st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    ),
    max_size=120,
)


def unpacked(status: status_pb2.Status, kind: type[M]) -> M | None:
    for detail in status.details:
        found = kind()
        if detail.Unpack(found):
            return found
    return None


def details(error: ApiError) -> status_pb2.Status:
    return status_pb2.Status.FromString(grpc_details(error))


@pytest.mark.parametrize("code", STATUSES)
def test_the_same_facts_over_both(code: str) -> None:
    class Some(ApiError):
        pass

    Some.code = code
    error = Some(
        "What happened",
        fields=[FieldError("email", "Email already exists")],
        metadata={"loginUrl": "https://kite.example/login"},
        retry_after=timedelta(seconds=1.5),
    )
    status = details(error)
    assert status.code == STATUSES[code][0].value[0]
    assert status.message == "What happened"
    info = unpacked(status, error_details_pb2.ErrorInfo)
    assert info == error_details_pb2.ErrorInfo(
        reason=code, domain="finlink", metadata={"loginUrl": "https://kite.example/login"}
    )
    bad = unpacked(status, error_details_pb2.BadRequest)
    assert bad is not None
    assert [(v.field, v.description) for v in bad.field_violations] == [
        ("email", "Email already exists")
    ]
    retry = unpacked(status, error_details_pb2.RetryInfo)
    assert retry is not None
    assert retry.retry_delay.ToTimedelta() == timedelta(seconds=1.5)

    body = json.loads(failure(rest_error(error, "/api/v1/users")))
    for reported in (body, body["error"]):
        assert datetime.fromisoformat(reported.pop("timestamp")).tzinfo == UTC
    assert body == {
        "success": False,
        "error": {
            "code": code,
            "message": "What happened",
            "details": [{"field": "email", "message": "Email already exists"}],
            "path": "/api/v1/users",
            "metadata": {"loginUrl": "https://kite.example/login"},
        },
    }


def test_nothing_is_said_that_is_not_there() -> None:
    status = details(ApiError())
    assert [detail.TypeName() for detail in status.details] == ["google.rpc.ErrorInfo"]
    body = rest_error(ApiError(), "/")
    assert body.keys() == {"code", "message", "details", "timestamp", "path"}
    assert body["details"] == []


@given(fields=FIELDS)
@settings(max_examples=60)
def test_details_are_capped(fields: list[FieldError]) -> None:
    kept = capped(fields)
    size = sum(len(json.dumps([entry.field, entry.message])) for entry in kept)
    assert size <= 6 * 1024
    if len(kept) < len(fields):
        *named, last = kept
        assert last == FieldError("", f"and {len(fields) - len(named)} more")
        assert [entry.message for entry in named] == [
            entry.message for entry in fields[: len(named)]
        ]
    else:
        assert len(kept) == len(fields)


def test_few_fields_are_all_named() -> None:
    fields = [FieldError(f"metadata.tags[{index}]", "must not be empty") for index in range(50)]
    assert capped(fields) == fields


@pytest.mark.parametrize("letter", ["a", "é", "द", "😀", '"', "\x01"])
@pytest.mark.parametrize("length", [1, 20, 200, 1000])
def test_what_travels_is_small_enough_for_every_client(letter: str, length: int) -> None:
    """Fields that a caller named, messages of ours: as many of them as there can be in a body."""
    count = 60_000 // (length * len(letter.encode()) + 8)
    error = InvalidRequest(
        fields=[
            FieldError((letter * length)[: length - 5] + f"{index:05}", "must be a string")
            for index in range(count)
        ]
    )
    encoded = base64.b64encode(grpc_details(error))
    assert len(encoded) + OTHER_METADATA_BYTES <= GRPC_METADATA_BYTES
    body = failure(rest_error(error, "/" + letter * 1000))
    assert len(body) <= REST_HEADER_BYTES
    assert body.isascii()
    assert body.isprintable()
    assert json.loads(body)["error"]["path"] == "/" + letter * 1000


def test_ids_that_fill_the_details_are_small_enough_too() -> None:
    fields = [
        FieldError(f"userIds[{index}]", "must be 1 to 64 letters, digits or underscores")
        for index in range(100)
    ]
    encoded = base64.b64encode(grpc_details(InvalidRequest(fields=fields)))
    assert len(encoded) + OTHER_METADATA_BYTES <= GRPC_METADATA_BYTES


def test_a_field_is_named_however_long_its_message_is() -> None:
    (entry,) = capped([FieldError("updateMask", "names " + "a" * 50_000)])
    assert entry.field == "updateMask"


def test_a_long_field_name_is_cut_and_still_named() -> None:
    (entry,) = capped([FieldError("x" * 50_000, "unknown field")])
    assert entry.field.startswith("xxx")
    assert len(entry.field) < 300
