"""The RPCs of finlink.identity.v1.AuthService: convert in, call a service, convert out."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import cast

from finlink.identity.v1 import (
    external_pb2,
    factors_pb2,
    login_pb2,
    phone_pb2,
    reauthentication_pb2,
    recovery_pb2,
    registration_pb2,
)
from finlink.identity.v1.auth_service_pb2_grpc import AuthServiceServicer

from server.core.errors import InvalidRequest, Unauthenticated
from server.core.principals import SignedIn
from server.domains.identity.credentials.factors.code_sending import CodeSending
from server.domains.identity.credentials.factors.reauthentication import Reauthentication
from server.domains.identity.credentials.lockout import known
from server.domains.identity.credentials.lockout.known import About, KnownCallers
from server.domains.identity.credentials.lockout.model import Name
from server.domains.identity.external import convert as external_convert
from server.domains.identity.external.model import LIFE, Linked, Purpose
from server.domains.identity.external.service import ExternalLogins
from server.domains.identity.recovery.reset import PasswordReset
from server.domains.identity.recovery.verification import EmailVerification
from server.domains.identity.sessions.model import Caller
from server.domains.identity.signin import convert
from server.domains.identity.signin.cookies import Cookies
from server.domains.identity.signin.former_owner import FormerOwnerLogin
from server.domains.identity.signin.login import PasswordLogin
from server.domains.identity.signin.model import Challenged, Opened
from server.domains.identity.signin.phone_login import PhoneLogin
from server.domains.identity.signin.registration import Registration
from server.domains.identity.signin.second_factor import SecondFactorLogin
from server.domains.identity.signin.service import SignInService
from server.rpc.call import AUTHORIZATION, COOKIE, IDEMPOTENCY_KEY, Call, Context, current_call
from server.rpc.credentials_sent import bearer_token
from server.rpc.fields import to_message
from server.rpc.same_site import check_same_site
from server.rpc.times import timestamp

_CODE_ON_ITS_WAY = "A code is on its way"
_ON_ITS_WAY = "If the address is known, a mail is on its way"


@dataclass(frozen=True)
class AuthServicer(AuthServiceServicer):
    _registration: Registration
    _login: PasswordLogin
    _phones: PhoneLogin
    _former_owner: FormerOwnerLogin
    _second_factor: SecondFactorLogin
    _service: SignInService
    _verification: EmailVerification
    _reset: PasswordReset
    _codes: CodeSending
    _reauthentication: Reauthentication
    _cookies: Cookies
    _origins: Collection[str]  # of pages that may ask for a cookie
    _known: KnownCallers
    _external: ExternalLogins

    async def Register(
        self, request: registration_pb2.RegisterRequest, context: Context
    ) -> registration_pb2.RegisterResponse:
        await self._check_address(known.nobody)
        new = convert.new_user(request)
        registered = await self._registration.register(new, request.password)
        return registration_pb2.RegisterResponse(
            message="User registered successfully",
            data=to_message(registration_pb2.RegisterData, registered),
        )

    async def Login(
        self, request: login_pb2.LoginRequest, context: Context
    ) -> login_pb2.LoginResponse:
        call = current_call()
        device = self._cookies.device(call.metadata.get(COOKIE, ""))
        login = convert.login(request, call, self._caller(call), device)
        if login.session == "cookie":
            self._check_cookie(call)
        result = await self._login.login(login)
        self._give_cookies(result)
        return login_pb2.LoginResponse(message=_message(result), data=convert.session_data(result))

    async def VerifySecondFactor(
        self, request: factors_pb2.VerifySecondFactorRequest, context: Context
    ) -> factors_pb2.VerifySecondFactorResponse:
        call, solution = current_call(), convert.solution(request)
        caller, check_cookie = self._caller(call), partial(self._check_cookie, call)
        result: Opened | Challenged
        if solution.method == "date_of_birth":
            result = await self._former_owner.verify(
                request.challenge_id, solution.value, caller, check_cookie
            )
        else:
            result = await self._second_factor.verify(
                request.challenge_id, solution, caller, check_cookie
            )
        self._give_cookies(result)
        return factors_pb2.VerifySecondFactorResponse(
            message=_message(result), data=convert.session_data(result)
        )

    async def SendOtp(
        self, request: phone_pb2.SendOtpRequest, context: Context
    ) -> phone_pb2.SendOtpResponse:
        sent = await self._phones.send(request.phone_number)
        return phone_pb2.SendOtpResponse(
            message=_CODE_ON_ITS_WAY, data=to_message(phone_pb2.SentCode, sent)
        )

    async def VerifyOtp(
        self, request: phone_pb2.VerifyOtpRequest, context: Context
    ) -> phone_pb2.VerifyOtpResponse:
        call = current_call()
        login = convert.otp_login(request, call, self._caller(call))
        if login.session == "cookie":
            self._check_cookie(call)
        result = await self._phones.verify(login)
        self._give_cookies(result)
        return phone_pb2.VerifyOtpResponse(
            message=_message(result), data=convert.session_data(result)
        )

    async def Refresh(
        self, request: login_pb2.RefreshRequest, context: Context
    ) -> login_pb2.RefreshResponse:
        call = current_call()
        key = call.header(IDEMPOTENCY_KEY)
        opened = await self._service.refresh(request.refresh_token, key, convert.caller(call))
        return login_pb2.RefreshResponse(
            message="Session refreshed", data=convert.session_data(opened)
        )

    async def Logout(
        self, request: login_pb2.LogoutRequest, context: Context
    ) -> login_pb2.LogoutResponse:
        call = current_call()
        token = bearer_token(call.metadata.get(AUTHORIZATION, ""))
        cookie = self._cookies.session(call.metadata.get(COOKIE, ""))
        await self._service.log_out(token, cookie, request.refresh_token or None)
        call.reply_headers += self._cookies.removed()
        return login_pb2.LogoutResponse(message="Signed out")

    async def Introspect(
        self, request: login_pb2.IntrospectRequest, context: Context
    ) -> login_pb2.IntrospectResponse:
        found = await self._service.introspect(request.token)
        data = login_pb2.IntrospectData(active=found is not None)
        if found is not None:
            data.user_id, data.session_id = found.user_id, found.session_id
            data.role = found.role.name.lower()
            data.expires_at.CopyFrom(timestamp(found.expires_at))
            data.amr.extend(found.amr)
        return login_pb2.IntrospectResponse(data=data)

    async def ForgotPassword(
        self, request: recovery_pb2.ForgotPasswordRequest, context: Context
    ) -> recovery_pb2.ForgotPasswordResponse:
        address = request.email.lower()
        await self._check_address(known.named(Name("email", address)))
        await self._reset.ask(address)
        return recovery_pb2.ForgotPasswordResponse(message=_ON_ITS_WAY)

    async def ResetPassword(
        self, request: recovery_pb2.ResetPasswordRequest, context: Context
    ) -> recovery_pb2.ResetPasswordResponse:
        if convert.asks_for_mail(request):
            address = request.email.lower()
            await self._check_address(known.named(Name("email", address)))
            await self._reset.ask(address)
            return recovery_pb2.ResetPasswordResponse(message=_ON_ITS_WAY)
        await self._check_address(known.owner(partial(self._reset.owner, request.token)))
        await self._reset.reset(request.token, request.password)
        return recovery_pb2.ResetPasswordResponse(message="Password reset successfully")

    async def SendVerification(
        self, request: recovery_pb2.SendVerificationRequest, context: Context
    ) -> recovery_pb2.SendVerificationResponse:
        signed_in = current_call().principal.signed_in
        if request.HasField("email"):
            address = request.email.lower()
            await self._check_address(known.named(Name("email", address)))
            await self._verification.send(address)
        elif signed_in is not None:
            await self._check_address(known.oneself(signed_in.user))
            await self._verification.send_to(signed_in.user)
        else:
            raise InvalidRequest.of("email", "must be sent by who has not signed in")
        message = "If the address waits for it, a mail is on its way"
        return recovery_pb2.SendVerificationResponse(message=message)

    async def VerifyEmail(
        self, request: recovery_pb2.VerifyEmailRequest, context: Context
    ) -> recovery_pb2.VerifyEmailResponse:
        await self._check_address(known.owner(partial(self._verification.owner, request.token)))
        signed_in = current_call().principal.signed_in
        reader = signed_in.user if signed_in else None
        verified = await self._verification.verify(request.token, reader)
        return recovery_pb2.VerifyEmailResponse(
            message="Email verified successfully",
            data=to_message(recovery_pb2.VerifyEmailData, verified),
        )

    async def StartReauthentication(
        self, request: reauthentication_pb2.StartReauthenticationRequest, context: Context
    ) -> reauthentication_pb2.StartReauthenticationResponse:
        sent = await self._codes.send(_signed_in(), convert.channel(request))
        return reauthentication_pb2.StartReauthenticationResponse(
            message="A code is on its way",
            data=to_message(reauthentication_pb2.StartReauthenticationData, sent),
        )

    async def Reauthenticate(
        self, request: reauthentication_pb2.ReauthenticateRequest, context: Context
    ) -> reauthentication_pb2.ReauthenticateResponse:
        await self._reauthentication.prove(_signed_in(), convert.shown(request))
        return reauthentication_pb2.ReauthenticateResponse(message="Reauthenticated")

    async def ListProviders(
        self, request: external_pb2.ListProvidersRequest, context: Context
    ) -> external_pb2.ListProvidersResponse:
        return external_convert.providers(self._external.providers)

    async def StartExternal(
        self, request: external_pb2.StartExternalRequest, context: Context
    ) -> external_pb2.StartExternalResponse:
        call = current_call()
        purpose, signed_in = cast("Purpose", request.purpose or "login"), call.principal.signed_in
        is_about = known.linked(request.provider)
        if purpose == "link" and signed_in is not None:
            is_about = known.oneself(signed_in.user)
        only = await self._check_address(is_about)
        by_cookie = convert.session_kind(request.session, "token", call) == "cookie"
        if by_cookie:
            check_same_site(call, self._origins)
        begun = await self._external.start(
            request.provider, request.redirect_uri, purpose, signed_in, only
        )
        if by_cookie:
            seconds = round(LIFE.total_seconds())
            given = self._cookies.login_given(begun.state, begun.login_secret, seconds)
            call.reply_headers.append(given)
        return external_pb2.StartExternalResponse(
            message="Go on at the provider",
            data=external_convert.started(begun, with_secret=not by_cookie),
        )

    async def CompleteExternal(
        self, request: external_pb2.CompleteExternalRequest, context: Context
    ) -> external_pb2.CompleteExternalResponse:
        call = current_call()
        wanted = external_convert.wanted(request, call, self._caller(call))
        sent = request.HasField("login_secret")
        if wanted.session == "cookie" or not sent:
            check_same_site(call, self._origins)
        secret = request.login_secret if sent else self._secret_of(call, request.state)
        reply = external_convert.reply(request, secret)
        result = await self._external.complete(
            request.provider, reply, wanted, call.principal.signed_in
        )
        if not sent:
            call.reply_headers.append(self._cookies.login_removed(request.state))
        if not isinstance(result, Linked):
            self._give_cookies(result)
        return external_convert.completed(result)

    def _secret_of(self, call: Call, state: str) -> str:
        secret = self._cookies.login_secret(call.metadata.get(COOKIE, ""), state)
        if secret is None:
            raise InvalidRequest.of(
                "loginSecret",
                "must be sent, unless StartExternal gave a cookie, which lasts ten minutes",
            )
        return secret

    def _caller(self, call: Call) -> Caller:
        """Who signs in. Cookies are not looked at beside another credential."""
        has_other = AUTHORIZATION in call.metadata or call.principal.key is not None
        cookie = None if has_other else self._cookies.session(call.metadata.get(COOKIE, ""))
        return convert.caller(call, cookie)

    def _check_cookie(self, call: Call) -> None:
        """Raises InvalidRequest and CsrfRefused unless the call may be given a cookie."""
        convert.session_kind("cookie", "cookie", call)
        check_same_site(call, self._origins)

    async def _check_address(self, is_about: About) -> str | None:
        """As `KnownCallers.check_address` does of this call. Login asks by itself."""
        call = current_call()
        device = self._cookies.device(call.metadata.get(COOKIE, ""))
        signed_in = call.principal.signed_in
        return await self._known.check_address(
            device, signed_in.user if signed_in else None, is_about
        )

    def _give_cookies(self, result: Opened | Challenged) -> None:
        if isinstance(result, Opened) and result.cookie is not None:
            headers = self._cookies.given(result.cookie, result.expires_in, result.device_cookie)
            current_call().reply_headers += headers


def _message(result: Opened | Challenged) -> str:
    return "Signed in" if isinstance(result, Opened) else "Second factor required"


def _signed_in() -> SignedIn:
    """The user whose session it is; the contract lets nobody else call."""
    signed_in = current_call().principal.signed_in
    if signed_in is None:
        raise Unauthenticated
    return signed_in
