"""The RPCs of finlink.identity.v1.AuthService about outside providers, beside those of signing in."""

from dataclasses import dataclass
from typing import cast

from finlink.identity.v1 import external_pb2

from server.core.errors import InvalidRequest
from server.domains.identity.credentials.lockout import known
from server.domains.identity.external import convert
from server.domains.identity.external.model import LIFE, Linked, Purpose
from server.domains.identity.external.service import ExternalLogins
from server.domains.identity.signin.convert import session_kind
from server.domains.identity.signin.servicer import AuthServicer
from server.rpc.call import COOKIE, Call, Context, current_call
from server.rpc.same_site import check_same_site


@dataclass(frozen=True)
class ExternalAuthServicer(AuthServicer):
    _external: ExternalLogins

    async def ListProviders(
        self, request: external_pb2.ListProvidersRequest, context: Context
    ) -> external_pb2.ListProvidersResponse:
        return convert.providers(self._external.providers)

    async def StartExternal(
        self, request: external_pb2.StartExternalRequest, context: Context
    ) -> external_pb2.StartExternalResponse:
        call = current_call()
        purpose, signed_in = cast("Purpose", request.purpose or "login"), call.principal.signed_in
        is_about = known.linked(request.provider)
        if purpose == "link" and signed_in is not None:
            is_about = known.oneself(signed_in.user)
        only = await self._check_address(is_about)
        by_cookie = session_kind(request.session, "token", call) == "cookie"
        if by_cookie:
            check_same_site(call, self._origins)
        begun = await self._external.start(
            request.provider,
            request.redirect_uri,
            purpose,
            signed_in,
            only,
        )
        if by_cookie:
            seconds = round(LIFE.total_seconds())
            given = self._cookies.login_given(begun.state, begun.login_secret, seconds)
            call.reply_headers.append(given)
        return external_pb2.StartExternalResponse(
            message="Go on at the provider", data=convert.started(begun, with_secret=not by_cookie)
        )

    async def CompleteExternal(
        self, request: external_pb2.CompleteExternalRequest, context: Context
    ) -> external_pb2.CompleteExternalResponse:
        call = current_call()
        wanted = convert.wanted(request, call, self._caller(call))
        sent = request.HasField("login_secret")
        if wanted.session == "cookie" or not sent:
            check_same_site(call, self._origins)
        secret = request.login_secret if sent else self._secret_of(call, request.state)
        result = await self._external.complete(
            request.provider, convert.reply(request, secret), wanted, call.principal.signed_in
        )
        if not sent:
            call.reply_headers.append(self._cookies.login_removed(request.state))
        if not isinstance(result, Linked):
            self._give_cookies(result)
        return convert.completed(result)

    def _secret_of(self, call: Call, state: str) -> str:
        secret = self._cookies.login_secret(call.metadata.get(COOKIE, ""), state)
        if secret is None:
            raise InvalidRequest.of(
                "loginSecret",
                "must be sent, unless StartExternal gave a cookie, which lasts ten minutes",
            )
        return secret
