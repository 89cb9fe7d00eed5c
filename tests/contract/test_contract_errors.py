"""Every error a caller can see has a code, a status and its documentation."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import grpc
import pytest
from finlink.errors.v1.error_reason_pb2 import ErrorReason

import server
from server.core.errors import ApiError
from server.rpc.status import COMMON, STATUSES

REASONS = [
    name.removeprefix("ERROR_REASON_")
    for name, number in ErrorReason.items()
    if number != ErrorReason.ERROR_REASON_UNSPECIFIED
]


def error_classes() -> list[type[ApiError]]:
    for module in pkgutil.walk_packages(server.__path__, "server."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return [ApiError, *subclasses(ApiError)]


def subclasses(cls: type[ApiError]) -> Iterator[type[ApiError]]:
    for sub in cls.__subclasses__():
        if sub.__module__.startswith("server."):
            yield sub
            yield from subclasses(sub)


CLASSES = error_classes()


def test_the_reasons_of_the_contract_are_those_of_the_server() -> None:
    assert list(STATUSES) == REASONS


@pytest.mark.parametrize("cls", CLASSES, ids=[cls.__qualname__ for cls in CLASSES])
def test_every_error_class_has_a_code_and_a_message(cls: type[ApiError]) -> None:
    assert cls.code in STATUSES
    assert cls.default_message.strip()
    if cls is not ApiError:
        assert "code" in vars(cls), "each class says its own code"


def test_no_two_error_classes_have_the_same_code() -> None:
    codes = [cls.code for cls in CLASSES]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_its_statuses(reason: str) -> None:
    status, http = STATUSES[reason]
    assert status is not grpc.StatusCode.OK
    assert http in {400, 401, 403, 404, 409, 413, 429, 500, 503, 504}


def test_what_every_rpc_can_fail_with() -> None:
    assert set(COMMON) == {
        "VALIDATION_ERROR", "RATE_LIMITED", "PAYLOAD_TOO_LARGE", "UNAVAILABLE", "DEADLINE_EXCEEDED",
        "INTERNAL", "ROUTE_NOT_FOUND", "UNAUTHENTICATED", "PERMISSION_DENIED",
            "TOKEN_EXPIRED", "SESSION_ENDED", "CSRF_REFUSED",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "status", "http"),
    [
        ("USER_NOT_FOUND", grpc.StatusCode.NOT_FOUND, 404),
        ("USER_EXISTS", grpc.StatusCode.ALREADY_EXISTS, 409),
        ("REAUTH_REQUIRED", grpc.StatusCode.FAILED_PRECONDITION, 409),
        ("PAYLOAD_TOO_LARGE", grpc.StatusCode.RESOURCE_EXHAUSTED, 413),
        ("RATE_LIMITED", grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    ],
)
def test_statuses_callers_rely_on(reason: str, status: grpc.StatusCode, http: int) -> None:
    assert STATUSES[reason] == (status, http)
