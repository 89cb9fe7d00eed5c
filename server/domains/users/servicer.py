"""The RPCs of finlink.users.v1.UserService: convert in, call the service, convert out."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from finlink.users.v1 import user_service_pb2 as rpc
from finlink.users.v1 import user_service_pb2_grpc

from server.cache.responses import Shown
from server.core.idempotency import answered
from server.domains.users import convert
from server.domains.users.model import UserFilter
from server.domains.users.service import UserService
from server.rpc.call import Context, answer_shows
from server.rpc.times import timestamp


class UserServicer(user_service_pb2_grpc.UserServiceServicer):
    def __init__(
        self,
        service: UserService,
        exported: Mapping[str, Callable[[Any], rpc.ExportUserResponse]],
    ) -> None:
        """`exported`: how what other domains export becomes a message, by its kind."""
        self._service = service
        self._exported = {"user": convert.exported, **exported}

    async def CreateUser(
        self, request: rpc.CreateUserRequest, context: Context
    ) -> rpc.CreateUserResponse:
        return await answered(
            self._service.create(convert.new_user(request)),
            lambda user: rpc.CreateUserResponse(
                message="User created successfully", data=convert.user(user)
            ),
        )

    async def GetUser(self, request: rpc.GetUserRequest, context: Context) -> rpc.GetUserResponse:
        user = await self._service.get(request.user_id)
        answer_shows(Shown([user.id]))
        return rpc.GetUserResponse(data=convert.user(user))

    async def BatchGetUsers(
        self, request: rpc.BatchGetUsersRequest, context: Context
    ) -> rpc.BatchGetUsersResponse:
        users, missing = await self._service.batch_get(request.user_ids)
        data = rpc.BatchGetUsersData(users=map(convert.user, users), missing_user_ids=missing)
        return rpc.BatchGetUsersResponse(data=data)

    async def ListUsers(
        self, request: rpc.ListUsersRequest, context: Context
    ) -> rpc.ListUsersResponse:
        where = UserFilter(
            status=request.status if request.HasField("status") else None,
            city=request.city if request.HasField("city") else None,
            risk_tolerance=request.risk_tolerance if request.HasField("risk_tolerance") else None,
        )
        page = await self._service.list(
            where,
            page=request.page if request.HasField("page") else None,
            token=request.page_token if request.HasField("page_token") else None,
            limit=request.limit if request.HasField("limit") else None,
        )
        data = rpc.ListUsersData(
            users=map(convert.user, page.users),
            pagination=rpc.UserPagination(
                current_page=page.page,
                total_pages=page.total_pages,
                total_users=page.total,
                has_next=page.next_page_token is not None,
                has_prev=page.page > 1,
                next_page_token=page.next_page_token,
            ),
        )
        return rpc.ListUsersResponse(data=data)

    async def UpdateUserProfile(
        self, request: rpc.UpdateUserProfileRequest, context: Context
    ) -> rpc.UpdateUserProfileResponse:
        return await answered(
            self._service.update(request.user_id, convert.profile_changes(request)),
            lambda user: rpc.UpdateUserProfileResponse(
                message="Profile updated successfully",
                data=rpc.UpdateUserProfileData(
                    user_id=user.user_id,
                    profile=convert.profile(user.profile),
                    updated_at=timestamp(user.updated_at),
                ),
            ),
        )

    async def UpdateUserPreferences(
        self, request: rpc.UpdateUserPreferencesRequest, context: Context
    ) -> rpc.UpdateUserPreferencesResponse:
        return await answered(
            self._service.update(request.user_id, convert.preference_changes(request)),
            lambda user: rpc.UpdateUserPreferencesResponse(
                message="Preferences updated successfully",
                data=rpc.UpdateUserPreferencesData(
                    user_id=user.user_id,
                    preferences=convert.preferences(user.preferences),
                    updated_at=timestamp(user.updated_at),
                ),
            ),
        )

    async def UpdateUserStatus(
        self, request: rpc.UpdateUserStatusRequest, context: Context
    ) -> rpc.UpdateUserStatusResponse:
        return await answered(
            self._service.set_status(request.user_id, request.status),
            lambda user: rpc.UpdateUserStatusResponse(
                message="Status updated successfully",
                data=rpc.UpdateUserStatusData(
                    user_id=user.user_id, status=user.status, updated_at=timestamp(user.updated_at)
                ),
            ),
        )

    async def UpdateUserMetadata(
        self, request: rpc.UpdateUserMetadataRequest, context: Context
    ) -> rpc.UpdateUserMetadataResponse:
        return await answered(
            self._service.update(request.user_id, convert.metadata_changes(request)),
            lambda user: rpc.UpdateUserMetadataResponse(
                message="Metadata updated successfully",
                data=rpc.UpdateUserMetadataData(
                    user_id=user.user_id,
                    metadata=convert.metadata(user.metadata),
                    updated_at=timestamp(user.updated_at),
                ),
            ),
        )

    async def UpdateUserEmailVerified(
        self, request: rpc.UpdateUserEmailVerifiedRequest, context: Context
    ) -> rpc.UpdateUserEmailVerifiedResponse:
        changes: dict[str, object] = {"emailVerified": request.email_verified}
        return await answered(
            self._service.update(request.user_id, changes),
            lambda user: rpc.UpdateUserEmailVerifiedResponse(
                message="Email verification updated successfully",
                data=rpc.UpdateUserEmailVerifiedData(
                    user_id=user.user_id,
                    email_verified=user.email_verified,
                    updated_at=timestamp(user.updated_at),
                ),
            ),
        )

    async def DeleteUser(
        self, request: rpc.DeleteUserRequest, context: Context
    ) -> rpc.DeleteUserResponse:
        return await answered(
            self._service.delete(request.user_id),
            lambda _: rpc.DeleteUserResponse(message="User deleted successfully"),
        )

    async def ExportUser(
        self, request: rpc.ExportUserRequest, context: Context
    ) -> AsyncIterator[rpc.ExportUserResponse]:
        counts: Counter[str] = Counter()
        async with aclosing(self._service.export(request.user_id)) as parts:
            async for kind, value in parts:
                counts[kind] += 1
                yield self._exported[kind](value)
        completed = rpc.ExportCompleted(
            connectors=counts["connector"],
            records=counts["record"],
            audit_events=counts["audit_event"],
        )
        yield rpc.ExportUserResponse(completed=completed)
