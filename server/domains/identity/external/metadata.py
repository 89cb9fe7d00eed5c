"""The facts that a provider publishes of itself, found by its issuer (OpenID Connect Discovery 1.0)."""

from urllib.parse import urlsplit

import msgspec

from server.domains.identity.external.http import ProviderHttp
from server.domains.identity.external.model import ExternalFailure

_PATH = "/.well-known/openid-configuration"
# Signed with a key that the provider alone has. The others are never taken, whatever a provider says.
SIGNED_WITH = frozenset(
    {
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
        "Ed25519",
    }
)  # fmt: skip


class Metadata(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    id_token_signing_alg_values_supported: tuple[str, ...]
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False

    @property
    def algorithms(self) -> list[str]:
        """Those of ID tokens that are taken."""
        return [each for each in self.id_token_signing_alg_values_supported if each in SIGNED_WITH]

    @property
    def secret_in_header(self) -> bool:
        """Whether Finlink's secret is sent as `client_secret_basic`, which is preferred."""
        return "client_secret_basic" in self.token_endpoint_auth_methods_supported


async def discover(http: ProviderHttp, issuer: str) -> Metadata:
    """The document of an issuer. Raises ProviderDown, ExternalFailure."""
    reply = await http.get(issuer.removesuffix("/") + _PATH, "the discovery document")
    if reply.status != 200:
        raise ExternalFailure(f"the discovery document: HTTP {reply.status}")
    try:
        found = msgspec.convert(reply.json("the discovery document"), Metadata)
    except msgspec.ValidationError as error:
        raise ExternalFailure(f"the discovery document: {error}") from None
    if found.issuer != issuer:
        raise ExternalFailure("the issuer of the discovery document is another than OIDC_…_ISSUER")
    is_secure = issuer.startswith("https://")
    for address in (
        found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint,
    ):  # fmt: skip
        if address is not None and not _is_address(address, is_secure=is_secure):
            raise ExternalFailure("an address in the discovery document is not valid")
    if not found.algorithms:
        raise ExternalFailure("no signature of the provider's ID tokens is taken")
    if not {"client_secret_basic", "client_secret_post"} & set(
        found.token_endpoint_auth_methods_supported
    ):
        raise ExternalFailure("the provider takes no client secret")
    return found


def _is_address(text: str, *, is_secure: bool) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    schemes = {"https"} if is_secure else {"https", "http"}
    return parts.scheme in schemes and bool(parts.hostname) and not parts.fragment
