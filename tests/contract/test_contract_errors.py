"""Every error a caller can see has a code, a status and its documentation."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import grpc
import pytest
from finlink.errors.v1.error_reason_pb2 import ErrorReason

import server
from server.core.errors import ApiError
from server.rpc.status import STATUSES
from tests.contract.descriptors import comments, own_files

REASONS = {
    name.removeprefix("ERROR_REASON_")
    for name, number in ErrorReason.items()
    if number != ErrorReason.ERROR_REASON_UNSPECIFIED
}


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
    assert STATUSES.keys() == REASONS


@pytest.mark.parametrize("cls", CLASSES, ids=[cls.__qualname__ for cls in CLASSES])
def test_every_error_class_has_a_code_and_a_message(cls: type[ApiError]) -> None:
    assert cls.code in STATUSES
    assert cls.default_message.strip()
    if cls is not ApiError:
        assert "code" in vars(cls), "each class says its own code"


def test_no_two_error_classes_have_the_same_code() -> None:
    codes = [cls.code for cls in CLASSES]
    assert len(codes) == len(set(codes))


def test_statuses_are_those_the_contract_documents() -> None:
    (file,) = (file for file in own_files() if file.name.endswith("error_reason.proto"))
    texts = comments(file)
    documented = {}
    for index, value in enumerate(file.enum_type[0].value):
        said = re.match(r"HTTP (\d{3}), ([A-Z_]+)\.", texts[5, 0, 2, index])
        if value.number:
            assert said, f"{value.name}: its comment begins with `HTTP 4xx, GRPC_CODE.`"
            code = value.name.removeprefix("ERROR_REASON_")
            documented[code] = (grpc.StatusCode[said[2]], int(said[1]))
    assert documented == STATUSES
