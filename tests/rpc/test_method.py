from __future__ import annotations

import pytest

from server.rpc.method import Method, methods_of
from tests.rpc.samples import METHODS


@pytest.mark.parametrize(
    ("name", "verb", "path", "fields", "body", "status"),
    [
        ("CreateUser", "post", "/api/v1/users", set(), True, 201),
        ("GetUser", "get", "/api/v1/users/{user_id}", {"user_id"}, False, 200),
        ("UpdateUserProfile", "put", "/api/v1/users/{user_id}/profile", {"user_id"}, True, 200),
        ("DeleteUser", "delete", "/api/v1/users/{user_id}", {"user_id"}, False, 200),
        (
            "GetUserPlatformConnector", "get",
            "/api/v1/connectors/user/{user_id}/platform/{platform}",
            {"user_id", "platform"}, False, 200,
        ),
        ("CreateConnector", "post", "/api/v1/connectors", set(), True, 201),
    ],
)  # fmt: skip
def test_what_the_contract_says(
    name: str, verb: str, path: str, fields: set[str], body: bool, status: int
) -> None:
    method = METHODS[name]
    assert method.verb == verb
    assert method.http_path == path
    assert method.path_fields == fields
    assert method.has_body is body
    assert method.success_status == status
    assert method.changes_state == (verb != "get")
    assert method.request_class.DESCRIPTOR.full_name == method.request.full_name
    assert method.path == f"/{method.descriptor.containing_service.full_name}/{name}"


def test_what_is_sent_is_what_the_path_does_not_carry() -> None:
    assert METHODS["UpdateUserStatus"].sent_fields.keys() == {"status"}
    assert METHODS["GetUser"].sent_fields == {}
    assert METHODS["ListUsers"].sent_fields.keys() == {
        "page", "limit", "status", "city", "riskTolerance", "pageToken",
    }  # fmt: skip


def test_methods_are_found_by_path() -> None:
    found = methods_of(["finlink.users.v1.UserService"])
    found_one = found["/finlink.users.v1.UserService/GetUser"]
    assert found_one.descriptor == METHODS["GetUser"].descriptor
    assert all(isinstance(method, Method) for method in found.values())
    assert {method.descriptor.name for method in found.values()} < METHODS.keys()


def test_a_service_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        methods_of(["finlink.loans.v1.LoanService"])
