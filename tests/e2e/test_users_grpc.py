"""Every user endpoint over gRPC, with the asyncio stubs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
from finlink.connectors.v1 import connector_reads_pb2
from finlink.users.v1 import user_creation_pb2, user_lists_pb2, user_updates_pb2
from finlink.users.v1 import user_pb2 as pb
from finlink.users.v1 import user_service_pb2 as rpc
from google.protobuf import json_format
from google.protobuf.field_mask_pb2 import FieldMask

from tests.e2e.users_errors import Failure, grpc_error

if TYPE_CHECKING:  # the names are in the type stubs only
    from finlink.connectors.v1.connector_service_pb2_grpc import ConnectorServiceAsyncStub
    from finlink.users.v1.user_service_pb2_grpc import UserServiceAsyncStub

EMPTY_UPDATE = "Nothing to update: send at least one field, or name one in updateMask"
DEFAULTS = pb.Preferences(
    currency="INR",
    language="en",
    notifications=pb.Notifications(email=True, sms=False, push=True),
)


async def create(users: UserServiceAsyncStub, user_id: str, **fields: Any) -> pb.User:
    request = user_creation_pb2.CreateUserRequest(
        user_id=user_id, email=f"{user_id}@example.com", **fields
    )
    return (await users.CreateUser(request)).data


async def get(users: UserServiceAsyncStub, user_id: str) -> pb.User:
    return (await users.GetUser(rpc.GetUserRequest(user_id=user_id))).data


async def refused(call: Any) -> Failure:
    """The error of a call, which must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return grpc_error(raised.value)


NOT_FOUND = Failure("USER_NOT_FOUND", "User not found")


async def test_create_as_the_requirements_print_it(
    users: UserServiceAsyncStub, new_id: str
) -> None:
    reply = await users.CreateUser(
        user_creation_pb2.CreateUserRequest(
            user_id=new_id,
            email=f"{new_id.upper()}@example.com",
            first_name="John",
            last_name="Doe",
            phone_number="+91-9876543210",
            city="Bangalore",
            country="India",
        )
    )
    assert reply == user_creation_pb2.CreateUserResponse(
        message="User created successfully",
        data=pb.User(
            id=reply.data.id,
            user_id=new_id,
            email=f"{new_id}@example.com",
            profile=pb.Profile(
                first_name="John",
                last_name="Doe",
                phone_number="+91-9876543210",
                city="Bangalore",
                country="India",
            ),
            preferences=DEFAULTS,
            status="active",
            role="user",
            is_active=True,
            name="John Doe",
            email_verified=False,
            metadata=pb.UserMetadata(),
            created_at=reply.data.created_at,
            updated_at=reply.data.created_at,
        ),
    )
    assert len(reply.data.id) == 24
    assert reply.data.created_at.seconds > 0
    assert await get(users, new_id) == reply.data


async def test_rest_and_grpc_say_the_same(
    users: UserServiceAsyncStub, rest: httpx.AsyncClient, new_id: str
) -> None:
    made = await create(
        users,
        new_id,
        income=1_500_000,
        date_of_birth="1990-01-01",
        risk_tolerance="medium",
        preferences=pb.Preferences(currency="USD"),
        metadata=pb.UserMetadata(source="web", tags=["a"]),
    )
    over_rest = (await rest.get(f"/users/{new_id}")).json()["data"]
    assert json_format.ParseDict(over_rest, pb.User()) == made
    assert over_rest["profile"] == {
        "income": 1500000, "dateOfBirth": "1990-01-01", "riskTolerance": "medium",
    }  # fmt: skip


async def test_profile(users: UserServiceAsyncStub, new_id: str) -> None:
    await create(users, new_id, first_name="John", country="India", income=5)
    reply = await users.UpdateUserProfile(
        user_updates_pb2.UpdateUserProfileRequest(
            user_id=new_id,
            last_name="Smith",
            date_of_birth="1990-01-01",
            phone_number="+91-9876543210",
            city="Mumbai",
            risk_tolerance="high",
            update_mask=FieldMask(paths=["income", "city"]),
        )
    )
    profile = pb.Profile(
        first_name="John",
        last_name="Smith",
        date_of_birth="1990-01-01",
        phone_number="+91-9876543210",
        city="Mumbai",
        country="India",
        risk_tolerance="high",
    )
    assert reply == user_updates_pb2.UpdateUserProfileResponse(
        message="Profile updated successfully",
        data=user_updates_pb2.UpdateUserProfileData(
            user_id=new_id, profile=profile, updated_at=reply.data.updated_at
        ),
    )
    user = await get(users, new_id)
    assert user.profile == profile
    assert user.updated_at == reply.data.updated_at


async def test_preferences(users: UserServiceAsyncStub, new_id: str) -> None:
    await create(users, new_id)
    reply = await users.UpdateUserPreferences(
        user_updates_pb2.UpdateUserPreferencesRequest(
            user_id=new_id,
            currency="USD",
            language="hi",
            notifications=pb.Notifications(email=False, sms=True),
        )
    )
    preferences = pb.Preferences(
        currency="USD",
        language="hi",
        notifications=pb.Notifications(email=False, sms=True, push=True),
    )
    assert reply == user_updates_pb2.UpdateUserPreferencesResponse(
        message="Preferences updated successfully",
        data=user_updates_pb2.UpdateUserPreferencesData(
            user_id=new_id, preferences=preferences, updated_at=reply.data.updated_at
        ),
    )
    masked = await users.UpdateUserPreferences(
        user_updates_pb2.UpdateUserPreferencesRequest(
            user_id=new_id, update_mask=FieldMask(paths=["currency", "language", "notifications"])
        )
    )
    assert masked.data.preferences == DEFAULTS
    assert (await get(users, new_id)).preferences == DEFAULTS


async def test_metadata(users: UserServiceAsyncStub, new_id: str) -> None:
    await create(users, new_id, metadata=pb.UserMetadata(source="web", tags=["a", "b"]))
    reply = await users.UpdateUserMetadata(
        user_updates_pb2.UpdateUserMetadataRequest(user_id=new_id, referral_code="R1", tags=["c"])
    )
    assert reply == user_updates_pb2.UpdateUserMetadataResponse(
        message="Metadata updated successfully",
        data=user_updates_pb2.UpdateUserMetadataData(
            user_id=new_id,
            metadata=pb.UserMetadata(source="web", referral_code="R1", tags=["c"]),
            updated_at=reply.data.updated_at,
        ),
    )
    # Over gRPC an empty list cannot be told from none; the mask says it is to go.
    emptied = await users.UpdateUserMetadata(
        user_updates_pb2.UpdateUserMetadataRequest(
            user_id=new_id, update_mask=FieldMask(paths=["tags", "source"])
        )
    )
    assert emptied.data.metadata == pb.UserMetadata(referral_code="R1")


@pytest.mark.parametrize("status", ["inactive", "suspended", "active"])
async def test_status(users: UserServiceAsyncStub, new_id: str, status: str) -> None:
    await create(users, new_id)
    reply = await users.UpdateUserStatus(
        user_updates_pb2.UpdateUserStatusRequest(user_id=new_id, status=status)
    )
    assert reply == user_updates_pb2.UpdateUserStatusResponse(
        message="Status updated successfully",
        data=user_updates_pb2.UpdateUserStatusData(
            user_id=new_id, status=status, updated_at=reply.data.updated_at
        ),
    )
    assert (await get(users, new_id)).status == status


@pytest.mark.parametrize("verified", [True, False])
async def test_email_verified(users: UserServiceAsyncStub, new_id: str, verified: bool) -> None:
    await create(users, new_id)
    reply = await users.UpdateUserEmailVerified(
        user_updates_pb2.UpdateUserEmailVerifiedRequest(user_id=new_id, email_verified=verified)
    )
    assert reply == user_updates_pb2.UpdateUserEmailVerifiedResponse(
        message="Email verification updated successfully",
        data=user_updates_pb2.UpdateUserEmailVerifiedData(
            user_id=new_id, email_verified=verified, updated_at=reply.data.updated_at
        ),
    )
    assert (await get(users, new_id)).email_verified is verified


async def test_batch(users: UserServiceAsyncStub, new_id: str) -> None:
    made = [await create(users, f"{new_id}_{number}") for number in range(2)]
    reply = await users.BatchGetUsers(
        user_lists_pb2.BatchGetUsersRequest(user_ids=[f"{new_id}_1", "nobody", f"{new_id}_0"])
    )
    assert reply == user_lists_pb2.BatchGetUsersResponse(
        data=user_lists_pb2.BatchGetUsersData(users=[made[1], made[0]], missing_user_ids=["nobody"])
    )


async def test_lists(users: UserServiceAsyncStub, new_id: str) -> None:
    city = f"City {uuid.uuid4().hex}"
    made = [await create(users, f"{new_id}_{number}", city=city) for number in range(5)]
    made.sort(key=lambda user: (user.created_at.ToNanoseconds(), user.id), reverse=True)
    page = (
        await users.ListUsers(user_lists_pb2.ListUsersRequest(city=city.upper(), page=2, limit=2))
    ).data
    token = page.pagination.next_page_token
    assert token
    assert page == user_lists_pb2.ListUsersData(
        users=made[2:4],
        pagination=user_lists_pb2.UserPagination(
            current_page=2,
            total_pages=3,
            total_users=5,
            has_next=True,
            has_prev=True,
            next_page_token=token,
        ),
    )
    last = (
        await users.ListUsers(
            user_lists_pb2.ListUsersRequest(city=city.upper(), limit=2, page_token=token)
        )
    ).data
    assert list(last.users) == made[4:]
    assert not last.pagination.has_next
    assert not last.pagination.HasField("next_page_token")
    past = (await users.ListUsers(user_lists_pb2.ListUsersRequest(city=city, page=9))).data
    assert list(past.users) == []
    assert past.pagination.total_users == 5


async def test_delete(users: UserServiceAsyncStub, new_id: str) -> None:
    before = await create(users, new_id, city="Pune")
    reply = await users.DeleteUser(user_creation_pb2.DeleteUserRequest(user_id=new_id))
    assert reply == user_creation_pb2.DeleteUserResponse(message="User deleted successfully")
    assert await refused(users.GetUser(rpc.GetUserRequest(user_id=new_id))) == NOT_FOUND
    assert (
        await refused(users.DeleteUser(user_creation_pb2.DeleteUserRequest(user_id=new_id)))
        == NOT_FOUND
    )
    again = await create(users, new_id)
    assert again.id != before.id
    assert again.profile == pb.Profile()


# --- errors -----------------------------------------------------------------------------------


async def test_who_is_taken_is_named(users: UserServiceAsyncStub, new_id: str) -> None:
    await create(users, new_id)
    failure = await refused(
        users.CreateUser(
            user_creation_pb2.CreateUserRequest(user_id=new_id, email=f"{new_id}@EXAMPLE.com")
        )
    )
    assert failure == Failure(
        "USER_EXISTS",
        "User already exists",
        {"userId": "User ID already exists", "email": "Email already exists"},
    )


async def test_nobody_is_not_found(
    users: UserServiceAsyncStub, connectors: ConnectorServiceAsyncStub, new_id: str
) -> None:
    calls = [
        users.GetUser(rpc.GetUserRequest(user_id=new_id)),
        users.UpdateUserProfile(
            user_updates_pb2.UpdateUserProfileRequest(user_id=new_id, city="Pune")
        ),
        users.UpdateUserPreferences(
            user_updates_pb2.UpdateUserPreferencesRequest(user_id=new_id, currency="USD")
        ),
        users.UpdateUserStatus(
            user_updates_pb2.UpdateUserStatusRequest(user_id=new_id, status="active")
        ),
        users.UpdateUserMetadata(
            user_updates_pb2.UpdateUserMetadataRequest(user_id=new_id, source="web")
        ),
        users.UpdateUserEmailVerified(
            user_updates_pb2.UpdateUserEmailVerifiedRequest(user_id=new_id, email_verified=True)
        ),
        users.DeleteUser(user_creation_pb2.DeleteUserRequest(user_id=new_id)),
        connectors.ListUserConnectors(
            connector_reads_pb2.ListUserConnectorsRequest(user_id=new_id)
        ),
    ]
    for call in calls:
        assert await refused(call) == NOT_FOUND


async def test_an_empty_update_is_refused(users: UserServiceAsyncStub, new_id: str) -> None:
    before = await create(users, new_id)
    for call in (
        users.UpdateUserProfile(user_updates_pb2.UpdateUserProfileRequest(user_id=new_id)),
        users.UpdateUserPreferences(
            user_updates_pb2.UpdateUserPreferencesRequest(
                user_id=new_id, notifications=pb.Notifications()
            )
        ),
        users.UpdateUserMetadata(
            user_updates_pb2.UpdateUserMetadataRequest(user_id=new_id, tags=[])
        ),
    ):
        assert await refused(call) == Failure("VALIDATION_ERROR", EMPTY_UPDATE)
    assert await get(users, new_id) == before


async def test_every_wrong_field_is_named_by_its_json_name(
    users: UserServiceAsyncStub, new_id: str
) -> None:
    failure = await refused(
        users.CreateUser(
            user_creation_pb2.CreateUserRequest(
                user_id="no spaces",
                email="nobody",
                first_name="x" * 101,
                phone_number="+0-12",
                date_of_birth="2023-02-29",
                income=-1,
                risk_tolerance="extreme",
                preferences=pb.Preferences(currency="RUPEE"),
                metadata=pb.UserMetadata(tags=["a", "", "a\x00"]),
            )
        )
    )
    assert failure.code == "VALIDATION_ERROR"
    assert failure.message == "Validation failed"
    assert failure.fields.keys() == {
        "userId", "email", "firstName", "phoneNumber", "dateOfBirth", "income", "riskTolerance",
        "preferences.currency", "metadata.tags[1]", "metadata.tags[2]",
    }  # fmt: skip
    assert failure.fields["phoneNumber"] == (
        "must be a valid phone number with its country code, as +91-9876543210"
    )


async def test_page_and_token_exclude_each_other(users: UserServiceAsyncStub) -> None:
    failure = await refused(
        users.ListUsers(user_lists_pb2.ListUsersRequest(page=1, page_token="x"))
    )
    assert failure.code == "VALIDATION_ERROR"
    assert failure.fields == {"pageToken": "must not come together with page"}


async def test_a_request_id_is_echoed(users: UserServiceAsyncStub, new_id: str) -> None:
    call = users.CreateUser(
        user_creation_pb2.CreateUserRequest(user_id=new_id, email=f"{new_id}@example.com"),
        metadata=(("x-request-id", f"test-{new_id}"),),
    )
    await call
    assert dict(await call.initial_metadata())["x-request-id"] == f"test-{new_id}"
