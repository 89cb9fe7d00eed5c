"""One provider, as Finlink asks it: where users sign in, and whom the code stands for that comes back."""

import hashlib
import re
from base64 import b64encode, urlsafe_b64encode
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from urllib.parse import quote_plus, urlencode

from server.core.clock import Clock
from server.domains.identity.external import id_token, metrics
from server.domains.identity.external.http import ProviderHttp, Reply
from server.domains.identity.external.keys import ProviderKeys
from server.domains.identity.external.metadata import Metadata, discover
from server.domains.identity.external.model import (
    Claims,
    CodeRefused,
    ExternalFailure,
    SignedInThere,
)
from server.domains.identity.providers import Provider
from server.domains.identity.tokens.shared_read import SharedRead

GOOD_FOR = timedelta(hours=1)  # what the provider says of itself
_SENDABLE = re.compile(r"[\x21-\x7e]{1,16384}")  # in a header
# Of RFC 6749. Another word of a provider's is not logged: it may be anything.
_ERRORS = frozenset(
    {
        "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client",
        "unsupported_grant_type", "invalid_scope",
    }
)  # fmt: skip
# Those about Finlink and not about the code: all logins have them, until somebody changes a setting.
_OF_SETTINGS = frozenset(
    {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}
)


class ProviderClient:
    """Methods raise ProviderDown, and ExternalFailure for a reply that does not hold."""

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self.provider = provider
        self._clock = clock
        self._http = ProviderHttp(only_https=provider.issuer.startswith("https://"))
        self._keys = ProviderKeys(provider.name, self._http, clock)
        self._known: tuple[Metadata, datetime] | None = None
        self._reading = SharedRead(self._read)

    async def metadata(self) -> Metadata:
        while self._known is None or self._clock.now() - self._known[1] >= GOOD_FOR:
            await self._reading.next()
        return self._known[0]

    async def _read(self) -> None:
        read_at = self._clock.now()
        with self._counted("discovery"):
            self._known = (await discover(self._http, self.provider.issuer), read_at)

    def _counted(self, call: metrics.Call) -> AbstractContextManager[None]:
        return metrics.counted(self.provider.name, call)

    async def address(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where a user signs in."""
        endpoint = (await self.metadata()).authorization_endpoint
        query = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": self.provider.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": _unpadded(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def check_issuer(self, issuer: str | None) -> None:
        """That of the reply, if the provider says that it sends it, or sends it all the same (RFC 9207)."""
        needed = (await self.metadata()).authorization_response_iss_parameter_supported
        if issuer is None and not needed:
            return
        if issuer != self.provider.issuer:
            raise ExternalFailure("the reply's iss is missing or another")

    async def redeem(
        self, code: str, redirect_uri: str, nonce: str, verifier: str
    ) -> SignedInThere:
        """The user whom a code stands for."""
        metadata = await self.metadata()
        with self._counted("tokens"):
            reply = await self._exchange(metadata, code, redirect_uri, verifier)
            tokens = reply.json("the tokens")
            token, access_token = tokens.get("id_token"), tokens.get("access_token")
            if not isinstance(token, str):
                raise ExternalFailure("there is no ID token")
        if not isinstance(access_token, str) or not _SENDABLE.fullmatch(access_token):
            access_token = None
        header = id_token.read_header(token, metadata.algorithms)
        key = await self._keys.find(metadata.jwks_uri, header.kid, header.alg)
        claims = id_token.verify(
            token, header, key, self.provider, nonce, access_token, self._clock.now()
        )
        return SignedInThere(claims["sub"], claims, access_token)

    async def facts(self, user: SignedInThere) -> Claims:
        """The facts of a user. Providers may give the address to who asks for it alone."""
        claims = user.claims
        if "email" not in claims and "email" in self.provider.scopes.split():
            claims = {**claims, **await self._user_info(user)}
        return id_token.facts(claims)

    async def _exchange(
        self, metadata: Metadata, code: str, redirect_uri: str, verifier: str
    ) -> Reply:
        own = self.provider
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"accept": "application/json"}
        if metadata.secret_in_header:
            pair = f"{quote_plus(own.client_id)}:{quote_plus(own.client_secret)}"
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": own.client_id, "client_secret": own.client_secret}
        reply = await self._http.post(metadata.token_endpoint, "the tokens", form, headers)
        if reply.status == 200:
            return reply
        error = reply.json("the error of the tokens").get("error")
        word = error if isinstance(error, str) and error in _ERRORS else "another error"
        is_of_code = reply.status == 400 and word not in _OF_SETTINGS
        failure = CodeRefused if is_of_code else ExternalFailure
        raise failure(f"the code is refused: HTTP {reply.status}, {word}")

    async def _user_info(self, user: SignedInThere) -> dict[str, object]:
        metadata = await self.metadata()
        if metadata.userinfo_endpoint is None or user.access_token is None:
            return {}
        headers = {"authorization": f"Bearer {user.access_token}", "accept": "application/json"}
        with self._counted("user_info"):
            reply = await self._http.get(metadata.userinfo_endpoint, "the user's claims", headers)
            if reply.status != 200:
                raise ExternalFailure(f"the user's claims: HTTP {reply.status}")
            claims = reply.json("the user's claims")
            if claims.get("sub") != user.sub:
                raise ExternalFailure("the user's claims are of another user")
        names = ("email", "email_verified", "given_name", "family_name")
        return {name: claims[name] for name in names if name in claims}

    async def aclose(self) -> None:
        await self._http.aclose()


def _unpadded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
