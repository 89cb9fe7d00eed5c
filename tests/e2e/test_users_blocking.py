"""Users with the blocking stubs that pytest-grpc makes.

The plugin would start a synchronous server of its own; its fixtures for the address and the server are
replaced, so that the stub talks to the running Finlink.
"""

from __future__ import annotations

import grpc
import pytest
from finlink.users.v1 import user_creation_pb2, user_lists_pb2, user_updates_pb2
from finlink.users.v1 import user_pb2 as pb
from finlink.users.v1 import user_service_pb2 as rpc
from finlink.users.v1.user_service_pb2_grpc import UserServiceStub

from tests.e2e.users_errors import Failure, grpc_error
from tests.stack import Stack


@pytest.fixture(scope="module")
def grpc_addr(stack: Stack) -> str:
    return stack.grpc


@pytest.fixture(scope="module")
def grpc_server(stack: Stack) -> Stack:
    """Runs already."""
    return stack


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[UserServiceStub]:
    return UserServiceStub


def test_a_users_life(grpc_stub: UserServiceStub, new_id: str) -> None:
    created = grpc_stub.CreateUser(
        user_creation_pb2.CreateUserRequest(
            user_id=new_id, email=f"{new_id}@example.com", city="Pune"
        )
    )
    assert created.message == "User created successfully"
    assert grpc_stub.GetUser(rpc.GetUserRequest(user_id=new_id)).data == created.data

    grpc_stub.UpdateUserProfile(
        user_updates_pb2.UpdateUserProfileRequest(user_id=new_id, city="Delhi")
    )
    grpc_stub.UpdateUserPreferences(
        user_updates_pb2.UpdateUserPreferencesRequest(user_id=new_id, currency="USD")
    )
    grpc_stub.UpdateUserMetadata(
        user_updates_pb2.UpdateUserMetadataRequest(user_id=new_id, tags=["a"])
    )
    grpc_stub.UpdateUserStatus(
        user_updates_pb2.UpdateUserStatusRequest(user_id=new_id, status="suspended")
    )
    grpc_stub.UpdateUserEmailVerified(
        user_updates_pb2.UpdateUserEmailVerifiedRequest(user_id=new_id, email_verified=True)
    )
    batch = grpc_stub.BatchGetUsers(user_lists_pb2.BatchGetUsersRequest(user_ids=[new_id]))
    (user,) = batch.data.users
    assert user.profile.city == "Delhi"
    assert user.preferences.currency == "USD"
    assert user.metadata == pb.UserMetadata(tags=["a"])
    assert (user.status, user.email_verified) == ("suspended", True)
    listed = grpc_stub.ListUsers(user_lists_pb2.ListUsersRequest(status="suspended", limit=100))
    assert user in listed.data.users

    deleted = grpc_stub.DeleteUser(user_creation_pb2.DeleteUserRequest(user_id=new_id))
    assert deleted.message == "User deleted successfully"
    with pytest.raises(grpc.RpcError) as raised:
        grpc_stub.GetUser(rpc.GetUserRequest(user_id=new_id))
    assert grpc_error(raised.value) == Failure("USER_NOT_FOUND", "User not found")


def test_what_is_taken(grpc_stub: UserServiceStub, new_id: str) -> None:
    request = user_creation_pb2.CreateUserRequest(user_id=new_id, email=f"{new_id}@example.com")
    grpc_stub.CreateUser(request)
    request.user_id += "_2"
    with pytest.raises(grpc.RpcError) as raised:
        grpc_stub.CreateUser(request)
    assert grpc_error(raised.value) == Failure(
        "USER_EXISTS", "Email already exists", {"email": "Email already exists"}
    )


def test_what_is_wrong(grpc_stub: UserServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        grpc_stub.CreateUser(
            user_creation_pb2.CreateUserRequest(user_id="a b", email="x", income=0)
        )
    assert grpc_error(raised.value) == Failure(
        "VALIDATION_ERROR",
        "Validation failed",
        {
            "userId": "must be 1 to 64 letters, digits or underscores",
            "email": "must be a valid email address, as user@example.com",
            "income": "must be greater than 0",
        },
    )
