"""Settings of identity."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource

from server.config import Prefixed, Settings, SettingsBase
from server.delivery.settings import DeliverySettings
from server.domains.identity import providers
from server.domains.identity.providers import Provider
from server.security.keys import KEY_BYTES, weakness
from server.setting_types import Origin, Words, checked

Algorithm: TypeAlias = Literal["ES256", "RS256", "HS256"]

_OIDC = "oidc_"  # begins the variables of providers, beside OIDC_PROVIDERS
_LEAST_ROUNDS_IN_PRODUCTION = 12
_ADVICE = "`openssl rand -hex 32` makes one"
# 64 random hexadecimal digits have 16 different ones, nearly always.
_FEWEST_DIFFERENT = 12


def _secret(value: str) -> None:
    if len(value.encode()) < KEY_BYTES:
        raise ValueError(f"must be {KEY_BYTES} bytes or more; {_ADVICE}")


def _audience(value: str) -> None:
    if not 0 < len(value) <= 255 or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("must be 1 to 255 ASCII characters, no spaces")


class IdentitySettings(SettingsBase):
    # Where users reach Finlink: the issuer of access tokens, and how the links in messages begin.
    public_url: Origin | None = None

    # A secret without an algorithm means HS256: for one deployment, whose tokens nobody else reads.
    jwt_secret: Annotated[SecretStr | None, checked(_secret)] = None
    jwt_algorithm: Algorithm | None = None
    jwt_audience: Annotated[str, checked(_audience)] = "finlink"
    access_token_expire_minutes: Annotated[int, Field(ge=1, le=60)] = 15
    signing_key_days: Annotated[int, Field(ge=1, le=3_650)] = 90  # after which the next key signs

    # Registering: by everybody, or by nobody.
    registration: Literal["open", "closed"] = "open"
    # Whether an address must be verified before there is a user: in production, unless it says otherwise.
    email_verification: Literal["optional", "required"] | None = None

    # Passwords.
    bcrypt_rounds: Annotated[int, Field(ge=10, le=15)] = 12
    password_min_length: Annotated[int, Field(ge=8, le=64)] = 8  # characters
    password_hashers: Annotated[int, Field(ge=1, le=8)] = 1  # threads of one worker

    # Sessions.
    refresh_token_expire_minutes: Annotated[int, Field(ge=5, le=525_600)] = 10_080
    # For so long after a refresh the token before gets the same successor again.
    refresh_reuse_seconds: Annotated[int, Field(ge=0, le=600)] = 60
    session_max_days: Annotated[int, Field(ge=1, le=365)] = 30
    cookie_session_hours: Annotated[int, Field(ge=1, le=720)] = 24

    # Outside providers: their names, and by name what OIDC_<NAME>_… says of each.
    oidc_providers: Words = ()
    oidc: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict, repr=False)

    prefixes: ClassVar[tuple[str, ...]] = (_OIDC,)
    secret_prefixes: ClassVar[tuple[str, ...]] = (_OIDC,)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        prefixed = Prefixed("oidc", settings_cls, dotenv_settings, env_settings)
        return init_settings, env_settings, dotenv_settings, prefixed

    def problems(self) -> Iterator[str]:
        yield from providers.problems(
            self.oidc_providers, self._of_providers, production=self.production
        )
        if self.production and self.bcrypt_rounds < _LEAST_ROUNDS_IN_PRODUCTION:
            yield f"BCRYPT_ROUNDS: must be at least {_LEAST_ROUNDS_IN_PRODUCTION} in production"
        if self.jwt_algorithm == "HS256" and self.jwt_secret is None:
            yield f"JWT_ALGORITHM=HS256 signs with JWT_SECRET, which must be set; {_ADVICE}"
        if not self.production:
            return
        if self.public_url is None:
            yield (
                "PUBLIC_URL must be set in production to the address at which users reach Finlink, "
                "such as https://finlink.example"
            )
        elif not self.public_url.startswith("https://"):
            yield "PUBLIC_URL must begin with https:// in production"
        if self.jwt_secret is not None:
            secret = self.jwt_secret.get_secret_value().encode()
            if weak := weakness(secret, _FEWEST_DIFFERENT):
                yield f"JWT_SECRET {weak} and is refused in production; {_ADVICE}"

    def problems_with(self, settings: Settings) -> Iterator[str]:
        if not (self.production and self.must_verify_email and settings.has(DeliverySettings)):
            return
        if settings.of(DeliverySettings).smtp_url is None:
            yield (
                "SMTP_URL must be set in production, so that addresses can be verified by mail, "
                "or EMAIL_VERIFICATION=optional"
            )

    @property
    def _of_providers(self) -> dict[str, str]:
        """`auth0_CLIENT_ID` of OIDC_AUTH0_CLIENT_ID, as every other case of it."""
        split = (name.lower().partition("_") for name in self.oidc)
        names = [f"{name}_{rest.upper()}" for name, _, rest in split]
        return dict(zip(names, self.oidc.values(), strict=True))

    @property
    def providers(self) -> tuple[Provider, ...]:
        """The outside providers at which users may sign in."""
        return providers.read(self.oidc_providers, self._of_providers)

    @property
    def must_verify_email(self) -> bool:
        default = "required" if self.production else "optional"
        return (self.email_verification or default) == "required"

    @property
    def algorithm(self) -> Algorithm:
        """The one algorithm of access tokens."""
        return self.jwt_algorithm or ("ES256" if self.jwt_secret is None else "HS256")

    @property
    def token_life(self) -> timedelta:
        return timedelta(minutes=self.access_token_expire_minutes)

    def origin(self, port: int) -> str:
        """PUBLIC_URL; without it this machine at `port`, where REST is in development.

        A fixed default would be wrong for every Finlink that has another PORT.
        """
        return self.public_url or f"http://localhost:{port}"
