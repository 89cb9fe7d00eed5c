"""The RPCs of finlink.identity.v1.UserAdminService: convert in, call the service, convert out."""

from dataclasses import dataclass
from functools import partial

from finlink.identity.v1 import user_admin_pb2 as rpc
from finlink.identity.v1.user_admin_service_pb2_grpc import UserAdminServiceServicer

from server.core.pages import PageRequest
from server.domains.identity.management.staff import convert
from server.domains.identity.management.staff.service import StaffService
from server.rpc.call import Context, current_call, replied
from server.rpc.fields import to_model


@dataclass(frozen=True)
class UserAdminServicer(UserAdminServiceServicer):
    _service: StaffService

    async def ListUserSessions(
        self, request: rpc.ListUserSessionsRequest, context: Context
    ) -> rpc.ListUserSessionsResponse:
        page = await self._service.sessions(request.user_id, to_model(PageRequest, request))
        signed_in = current_call().principal.signed_in
        return convert.sessions(page, signed_in.session_id if signed_in else None)

    async def RevokeUserSessions(
        self, request: rpc.RevokeUserSessionsRequest, context: Context
    ) -> rpc.RevokeUserSessionsResponse:
        change = partial(self._service.revoke_sessions, request.user_id)
        return await replied(
            change, lambda _: rpc.RevokeUserSessionsResponse(message="Sessions ended")
        )

    async def SendPasswordReset(
        self, request: rpc.SendPasswordResetRequest, context: Context
    ) -> rpc.SendPasswordResetResponse:
        change = partial(self._service.send_password_reset, request.user_id)
        return await replied(
            change, lambda _: rpc.SendPasswordResetResponse(message="A mail is on its way")
        )

    async def RemoveUserMfa(
        self, request: rpc.RemoveUserMfaRequest, context: Context
    ) -> rpc.RemoveUserMfaResponse:
        change = partial(self._service.remove_mfa, request.user_id)
        return await replied(
            change, lambda _: rpc.RemoveUserMfaResponse(message="Second factor removed")
        )

    async def UnlockUser(
        self, request: rpc.UnlockUserRequest, context: Context
    ) -> rpc.UnlockUserResponse:
        change = partial(self._service.unlock, request.user_id)
        return await replied(change, lambda _: rpc.UnlockUserResponse(message="User unlocked"))
