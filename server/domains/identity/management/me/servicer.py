"""The RPCs of finlink.identity.v1.MeService: convert in, call the service, convert out."""

from dataclasses import dataclass
from functools import partial

from finlink.exports.v1 import export_service_pb2
from finlink.identity.v1 import (
    external_pb2,
    factors_pb2,
    me_pb2,
    me_service_pb2_grpc,
    phone_change_pb2,
    phone_pb2,
)

from server.core.errors import Unauthenticated
from server.core.pages import PageRequest
from server.core.principals import Represented, SignedIn
from server.domains.identity.credentials.factors.service import FactorService
from server.domains.identity.credentials.phones.change import PhoneChange
from server.domains.identity.external.links import ExternalLinks
from server.domains.identity.management.me import convert
from server.domains.identity.management.me.service import MeService
from server.domains.identity.recovery.address import EmailChange
from server.domains.identity.sessions.model import LoginSession
from server.rpc.call import Context, current_call, replied
from server.rpc.fields import to_message, to_model


@dataclass(frozen=True)
class MeServicer(me_service_pb2_grpc.MeServiceServicer):
    _service: MeService
    _factors: FactorService
    _phone: PhoneChange
    _email_change: EmailChange
    _links: ExternalLinks

    async def GetMe(self, request: me_pb2.GetMeRequest, context: Context) -> me_pb2.GetMeResponse:
        return me_pb2.GetMeResponse(data=convert.me(await self._service.get(_caller())))

    async def UpdateMe(
        self, request: me_pb2.UpdateMeRequest, context: Context
    ) -> me_pb2.UpdateMeResponse:
        change = partial(self._service.update, _signed_in(), convert.changes(request))
        return await replied(
            change,
            lambda me: me_pb2.UpdateMeResponse(
                message="Profile updated successfully", data=convert.me(me)
            ),
        )

    async def ChangePassword(
        self, request: me_pb2.ChangePasswordRequest, context: Context
    ) -> me_pb2.ChangePasswordResponse:
        current = request.current_password if request.HasField("current_password") else None
        await self._service.change_password(_signed_in(), current, request.new_password)
        return me_pb2.ChangePasswordResponse(message="Password changed successfully")

    async def ChangePhone(
        self, request: phone_change_pb2.ChangePhoneRequest, context: Context
    ) -> phone_change_pb2.ChangePhoneResponse:
        sent = await self._phone.start(_signed_in(), request.phone_number)
        return phone_change_pb2.ChangePhoneResponse(
            message="A code is on its way", data=to_message(phone_pb2.SentCode, sent)
        )

    async def ConfirmPhone(
        self, request: phone_change_pb2.ConfirmPhoneRequest, context: Context
    ) -> phone_change_pb2.ConfirmPhoneResponse:
        await self._phone.confirm(_signed_in(), request.challenge_id, request.code)
        return phone_change_pb2.ConfirmPhoneResponse(message="Phone number changed successfully")

    async def ChangeEmail(
        self, request: me_pb2.ChangeEmailRequest, context: Context
    ) -> me_pb2.ChangeEmailResponse:
        await self._email_change.ask(_signed_in(), request.email.lower())
        return me_pb2.ChangeEmailResponse(message="Open the mail that was sent to the new address")

    async def ListSessions(
        self, request: me_pb2.ListSessionsRequest, context: Context
    ) -> me_pb2.ListSessionsResponse:
        caller = _caller()
        page = await self._service.sessions(caller, to_model(PageRequest, request))
        current = caller.session_id if isinstance(caller, SignedIn) else None
        return convert.sessions(page, current)

    async def RevokeSession(
        self, request: me_pb2.RevokeSessionRequest, context: Context
    ) -> me_pb2.RevokeSessionResponse:
        change = partial(self._service.revoke, _signed_in(), request.session_id)
        return await replied(
            change, lambda _: me_pb2.RevokeSessionResponse(message="Session ended")
        )

    async def RevokeSessions(
        self, request: me_pb2.RevokeSessionsRequest, context: Context
    ) -> me_pb2.RevokeSessionsResponse:
        change = partial(
            self._service.revoke_all, _signed_in(), include_current=request.include_current
        )
        return await replied(
            change, lambda _: me_pb2.RevokeSessionsResponse(message="Sessions ended")
        )

    async def StartTotp(
        self, request: factors_pb2.StartTotpRequest, context: Context
    ) -> factors_pb2.StartTotpResponse:
        setup = await self._factors.start(_signed_in())
        return factors_pb2.StartTotpResponse(
            message="Confirm the app with one of its codes",
            data=to_message(factors_pb2.TotpSetup, setup),
        )

    async def ConfirmTotp(
        self, request: factors_pb2.ConfirmTotpRequest, context: Context
    ) -> factors_pb2.ConfirmTotpResponse:
        codes = await self._factors.confirm(_signed_in(), request.code)
        return factors_pb2.ConfirmTotpResponse(
            message="Second factor added", data=to_message(factors_pb2.NewRecoveryCodes, codes)
        )

    async def RemoveTotp(
        self, request: factors_pb2.RemoveTotpRequest, context: Context
    ) -> factors_pb2.RemoveTotpResponse:
        await self._factors.remove(_signed_in(), request.code)
        return factors_pb2.RemoveTotpResponse(message="Second factor removed")

    async def RenewRecoveryCodes(
        self, request: factors_pb2.RenewRecoveryCodesRequest, context: Context
    ) -> factors_pb2.RenewRecoveryCodesResponse:
        codes = await self._factors.renew_recovery_codes(_signed_in())
        return factors_pb2.RenewRecoveryCodesResponse(
            message="Recovery codes renewed", data=to_message(factors_pb2.NewRecoveryCodes, codes)
        )

    async def UnlinkExternal(
        self, request: external_pb2.UnlinkExternalRequest, context: Context
    ) -> external_pb2.UnlinkExternalResponse:
        change = partial(self._links.unlink, _signed_in().user, request.provider)
        return await replied(
            change, lambda _: external_pb2.UnlinkExternalResponse(message="Provider unlinked")
        )


def exported_session(value: LoginSession) -> export_service_pb2.ExportUserResponse:
    """A session as the current call exports it."""
    user = current_call().principal.signed_in
    return convert.exported_session(value, user.session_id if user else None)


def _caller() -> SignedIn | Represented:
    """The user whose account it is; the contract lets nobody else call."""
    user = current_call().principal.user
    if user is None:
        raise Unauthenticated
    return user


def _signed_in() -> SignedIn:
    user = _caller()
    if not isinstance(user, SignedIn):
        raise Unauthenticated
    return user
