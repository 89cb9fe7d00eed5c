"""The RPCs of finlink.users.v1.UserService: convert in, call the service, convert out."""

from functools import partial

from finlink.users.v1 import user_changes_pb2 as whole
from finlink.users.v1 import user_creation_pb2 as creation
from finlink.users.v1 import user_lists_pb2, user_service_pb2_grpc
from finlink.users.v1 import user_pb2 as pb
from finlink.users.v1 import user_service_pb2 as rpc
from finlink.users.v1 import user_updates_pb2 as updates

from server.cache.responses import Shown
from server.core.model import Changes
from server.core.pages import PageRequest
from server.core.users import Metadata, Preferences, Profile
from server.domains.users import convert
from server.domains.users.administration import convert as administration_convert
from server.domains.users.administration.model import UserChange
from server.domains.users.administration.rights import Rights, denied, may_set_roles
from server.domains.users.administration.service import UserAdministration
from server.domains.users.model import UserFilter
from server.domains.users.service import UserService
from server.rpc.call import Context, current_call, reply_shows
from server.rpc.fields import to_changes, to_message, to_model
from server.rpc.replies import changed, listed, reply


class UserServicer(user_service_pb2_grpc.UserServiceServicer):
    def __init__(self, service: UserService, administration: UserAdministration) -> None:
        self._service = service
        self._administration = administration

    async def CreateUser(
        self, request: creation.CreateUserRequest, context: Context
    ) -> creation.CreateUserResponse:
        if request.HasField("role") and not may_set_roles(current_call().principal):
            raise denied("role")
        change = partial(
            self._service.create,
            convert.new_user(request),
            password=request.password if request.HasField("password") else None,
            role=request.role if request.HasField("role") else None,
        )
        return await changed(creation.CreateUserResponse, "User created successfully", change)

    async def GetUser(self, request: rpc.GetUserRequest, context: Context) -> rpc.GetUserResponse:
        user = await self._service.get(request.user_id)
        reply_shows(Shown([user.id]))
        return reply(rpc.GetUserResponse, user)

    async def BatchGetUsers(
        self, request: user_lists_pb2.BatchGetUsersRequest, context: Context
    ) -> user_lists_pb2.BatchGetUsersResponse:
        found, missing = await self._service.batch_get(request.user_ids)
        users = [to_message(pb.User, user) for user in found]
        data = user_lists_pb2.BatchGetUsersData(users=users, missing_user_ids=missing)
        return user_lists_pb2.BatchGetUsersResponse(data=data)

    async def ListUsers(
        self, request: user_lists_pb2.ListUsersRequest, context: Context
    ) -> user_lists_pb2.ListUsersResponse:
        where, wanted = to_model(UserFilter, request), to_model(PageRequest, request)
        page = await self._service.list(where, wanted)
        return listed(user_lists_pb2.ListUsersResponse, page, total_users=page.total)

    async def UpdateUserProfile(
        self, request: updates.UpdateUserProfileRequest, context: Context
    ) -> updates.UpdateUserProfileResponse:
        changes = to_changes(Profile, request, "profile")
        change = partial(self._service.update, request.user_id, changes)
        return await changed(
            updates.UpdateUserProfileResponse, "Profile updated successfully", change
        )

    async def UpdateUserPreferences(
        self, request: updates.UpdateUserPreferencesRequest, context: Context
    ) -> updates.UpdateUserPreferencesResponse:
        changes = to_changes(Preferences, request, "preferences")
        change = partial(self._service.update, request.user_id, changes)
        return await changed(
            updates.UpdateUserPreferencesResponse, "Preferences updated successfully", change
        )

    async def UpdateUserStatus(
        self, request: updates.UpdateUserStatusRequest, context: Context
    ) -> updates.UpdateUserStatusResponse:
        change = partial(self._service.set_status, request.user_id, request.status)
        return await changed(
            updates.UpdateUserStatusResponse, "Status updated successfully", change
        )

    async def UpdateUserMetadata(
        self, request: updates.UpdateUserMetadataRequest, context: Context
    ) -> updates.UpdateUserMetadataResponse:
        changes = to_changes(Metadata, request, "metadata")
        change = partial(self._service.update, request.user_id, changes)
        return await changed(
            updates.UpdateUserMetadataResponse, "Metadata updated successfully", change
        )

    async def UpdateUserEmailVerified(
        self, request: updates.UpdateUserEmailVerifiedRequest, context: Context
    ) -> updates.UpdateUserEmailVerifiedResponse:
        changes: Changes = {"emailVerified": request.email_verified}
        change = partial(self._service.update, request.user_id, changes)
        return await changed(
            updates.UpdateUserEmailVerifiedResponse,
            "Email verification updated successfully",
            change,
        )

    async def UpdateUser(
        self, request: whole.UpdateUserRequest, context: Context
    ) -> whole.UpdateUserResponse:
        rights = Rights(current_call().principal, request.user_id)
        change = partial(
            self._administration.change,
            request.user_id,
            administration_convert.update(request),
            rights,
        )
        return await changed(whole.UpdateUserResponse, "User updated successfully", change)

    async def ReplaceUser(
        self, request: whole.ReplaceUserRequest, context: Context
    ) -> whole.ReplaceUserResponse:
        rights = Rights(current_call().principal, request.user_id)
        change = partial(
            self._administration.change,
            request.user_id,
            administration_convert.replacement(request, may_metadata=rights.may_metadata),
            rights,
        )
        return await changed(whole.ReplaceUserResponse, "User updated successfully", change)

    async def SetUserRole(
        self, request: whole.SetUserRoleRequest, context: Context
    ) -> whole.SetUserRoleResponse:
        change = partial(
            self._administration.change, request.user_id, UserChange(role=request.role), None
        )
        return await changed(whole.SetUserRoleResponse, "Role updated successfully", change)

    async def DeleteUser(
        self, request: creation.DeleteUserRequest, context: Context
    ) -> creation.DeleteUserResponse:
        change = partial(self._service.delete, request.user_id)
        return await changed(creation.DeleteUserResponse, "User deleted successfully", change)

    async def RestoreUser(
        self, request: creation.RestoreUserRequest, context: Context
    ) -> creation.RestoreUserResponse:
        change = partial(self._administration.restore, request.user_id)
        return await changed(creation.RestoreUserResponse, "User restored successfully", change)
