"""Settings: the only reader of the environment.

Each field is an environment variable of the same name in capitals; `.env` in the working directory
is read too, the environment wins.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from server.core.access import ApiKey, parse_keys
from server.core.clock import CLOCK
from server.security.keys import ADVICE, decode_key, ring_of, weakness
from server.security.keys import parse_keys as parse_encryption_keys

Port = Annotated[int, Field(ge=1, le=65535)]
Limit = Annotated[int, Field(ge=1, le=1_000_000)]  # calls in a window
Address = Annotated[str, Field(pattern=r"^[^:]+:[0-9]{1,5}$")]  # HOST:PORT
# Given as one text, separated by commas.
Words = Annotated[tuple[str, ...], NoDecode]

Part = TypeVar("Part", bound=BaseSettings)


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http:// or https:// address")
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]


class ConfigError(Exception):
    """A setting is wrong; the message names it and says what would be right."""


class _GroupLimits(EnvSettingsSource):
    """The limits by group: what is named `RATE_LIMIT_<GROUP>` and is no setting of its own."""

    def __init__(self, settings: type[BaseSettings], *sources: PydanticBaseSettingsSource) -> None:
        super().__init__(settings)
        self._sources = sources

    def __call__(self) -> dict[str, Any]:
        found: dict[str, str | None] = {}
        for source in self._sources:
            if isinstance(source, EnvSettingsSource):
                found |= source.env_vars
        prefix, own = "rate_limit_", self.settings_cls.model_fields
        groups = {
            name.removeprefix(prefix): calls
            for name, calls in found.items()
            if name.startswith(prefix) and name not in own
        }
        return {"rate_limit": groups} if groups else {}


class Settings(BaseSettings):
    """All settings of Finlink's processes, checked."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    app_env: Literal["development", "production", "test"] = Field(
        default="development", validation_alias=AliasChoices("APP_ENV", "NODE_ENV", "app_env")
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    # Which calls Envoy writes down: those that a server's own log has not, failed or slow ones, or all.
    access_log: Literal["notable", "all"] = "notable"
    data_dir: Path = Path(".data")
    # Of tests: how many milliseconds all processes take it to be later than it is, in 8 bytes.
    clock_file: Path | None = None

    # Where Finlink listens.
    host: str = "0.0.0.0"  # noqa: S104 - as the PRD's PORT: reachable from other machines
    port: Port = 3000
    grpc_port: Port = 50051
    admin_port: Port = 9901  # Envoy's, on loopback only
    # Where Prometheus reads. 0 is off; unset, `run` takes 9464 and a server alone has none.
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    metrics_host: str = "127.0.0.1"
    # Where traces go: an OTLP collector's gRPC port. Unset, nothing is traced.
    otel_exporter_otlp_endpoint: HttpUrl | None = None
    trace_percent: Annotated[float, Field(ge=0, le=100)] = 1.0  # of calls
    workers: Annotated[int, Field(ge=1, le=128)] = Field(
        default_factory=lambda: os.cpu_count() or 1
    )

    # HTTPS. Without a certificate, development makes one.
    tls_port: Port = 3443
    tls_cert: Path | None = None
    tls_key: Path | None = None
    plain_http: Literal["on", "redirect", "off"] | None = None
    # With all three, stubs must show a certificate of this CA.
    grpc_tls_cert: Path | None = None
    grpc_tls_key: Path | None = None
    grpc_tls_client_ca: Path | None = None

    # Between Envoy and servers on other hosts: this side's certificate, and the CA of both sides'.
    server_tls_cert: Path | None = None
    server_tls_key: Path | None = None
    server_tls_ca: Path | None = None

    # Who may call, and how often. Limits are per client address.
    trusted_proxies: Words = ()  # CIDRs whose X-Forwarded-For is believed
    cors_origins: Words = ()
    rate_limits: Literal["on", "off"] = "on"
    rate_limit_window_ms: Annotated[int, Field(ge=1_000, le=86_400_000)] = 60_000
    rate_limit_max_requests: Limit = 100
    rate_limit: dict[str, Limit] = {}  # by group, RATE_LIMIT_<GROUP>; else the contract's holds
    rate_limit_service: Address | None = None  # shares limits among Envoys; see deploy/
    envoy_heap_mb: Annotated[int, Field(ge=128, le=1_048_576)] = 1_024

    # MongoDB. Without a URI, `run` starts a mongod of its own.
    mongodb_uri: SecretStr | None = None
    db_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,38}$")] | None = None
    mongo_driver: Literal["pymongo", "motor"] = "pymongo"
    mongo_port: Port = 27117  # of the mongod that `run` starts
    mongo_timeout_ms: Annotated[int, Field(ge=100, le=60_000)] = 2_000
    mongo_pool_size: Annotated[int, Field(ge=1, le=1_000)] = 50
    user_archive_days: Annotated[int, Field(ge=1, le=3_650)] = 30

    # The key ring: `id:key,id:key`, and a key alone, which is one of the ring as well.
    encryption_keys: SecretStr | None = None
    encryption_key: SecretStr | None = None

    # Who may call, beside the keys that `python -m server keys` makes.
    api_keys: str = Field(default="", repr=False)  # NAME:SCOPE:DIGEST,…
    allow_anonymous: bool = False  # in production: start although there are no keys

    # Answers of hot reads that a worker keeps; with 0 none.
    answer_cache_mb: Annotated[int, Field(ge=0, le=4_096)] = 16
    # By which the workers of a host tell each other of changes; `run` makes it.
    generations_file: Path | None = None

    # Platforms bring settings of their own, see `of`.
    # Whether those without an address are the sandbox's: in development, not in production.
    sandbox: bool | None = None
    sandbox_data: Path | None = None

    # Sync
    # Runs at a time in one worker; with 0 it only serves, and others must sync.
    sync_concurrency: Annotated[int, Field(ge=0, le=1_000)] = 20

    _parts: dict[type[BaseSettings], BaseSettings] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        named = _GroupLimits(settings_cls, dotenv_settings, env_settings)
        return init_settings, env_settings, dotenv_settings, named

    @field_validator("trusted_proxies", "cors_origins", mode="before")
    @classmethod
    def _separated(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _cidrs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(str(ipaddress.ip_network(cidr)) for cidr in value)
        except ValueError as error:
            raise ValueError(f"must be CIDRs as 10.0.0.0/8, separated by commas; {error}") from None

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            if f"{parts.scheme}://{parts.netloc}" != origin or parts.scheme not in {
                "http",
                "https",
            }:
                raise ValueError("must be origins as https://app.example, separated by commas")
        return value

    @field_validator("mongodb_uri")
    @classmethod
    def _uri_scheme(cls, value: SecretStr | None) -> SecretStr | None:
        uri = value.get_secret_value() if value else "mongodb://"
        if not uri.startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("must start with mongodb:// or mongodb+srv://")
        return value

    @field_validator("encryption_key")
    @classmethod
    def _key_length(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            decode_key(value.get_secret_value())
        return value

    @field_validator("encryption_keys")
    @classmethod
    def _keys_form(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_encryption_keys(value.get_secret_value())
        return value

    @field_validator("api_keys")
    @classmethod
    def _key_entries(cls, value: str) -> str:
        parse_keys(value)
        return value

    @model_validator(mode="after")
    def _complete(self) -> Settings:
        for group in (
            ("tls_cert", "tls_key"),
            ("grpc_tls_cert", "grpc_tls_key", "grpc_tls_client_ca"),
            ("server_tls_cert", "server_tls_key", "server_tls_ca"),
        ):
            given = [name for name in group if getattr(self, name) is not None]
            if given and len(given) < len(group):
                names = ", ".join(name.upper() for name in group)
                raise ValueError(f"{names} must be set together or not at all")
        return self

    @model_validator(mode="after")
    def _production(self) -> Settings:
        if self.production and self.sandbox:
            raise ValueError("SANDBOX=true is for development; it is refused in production")
        ring = self.key_ring
        if self.production and not ring:
            raise ValueError(
                "ENCRYPTION_KEYS or ENCRYPTION_KEY must be set in production, as "
                f"ENCRYPTION_KEYS=2026a:KEY; {ADVICE}"
            )
        for key_id, key in ring.items() if self.production else ():
            if weak := weakness(key):
                raise ValueError(
                    f"the encryption key {key_id} {weak} and is refused in production; {ADVICE}"
                )
        return self

    @field_validator("clock_file")
    @classmethod
    def _only_tests_turn_the_clock(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("app_env") != "test":
            raise ValueError("is for tests: it needs APP_ENV=test")
        return value

    @property
    def production(self) -> bool:
        return self.app_env == "production"

    @property
    def fixed_keys(self) -> tuple[ApiKey, ...]:
        """The API keys of the environment."""
        return parse_keys(self.api_keys)

    @property
    def key_ring(self) -> dict[str, bytes]:
        """The encryption keys by their ids; the first encrypts. Empty where none is set."""
        several, single = self.encryption_keys, self.encryption_key
        return ring_of(
            parse_encryption_keys(several.get_secret_value()) if several else {},
            decode_key(single.get_secret_value()) if single else None,
        )

    @property
    def http(self) -> Literal["on", "redirect", "off"]:
        """What the plain HTTP port does: in production it redirects to HTTPS unless told otherwise."""
        return self.plain_http or ("redirect" if self.production else "on")

    @property
    def use_sandbox(self) -> bool:
        """Whether platforms without an address of their own are the sandbox's."""
        return not self.production if self.sandbox is None else self.sandbox

    @property
    def database(self) -> str:
        """The database's name: DB_NAME, else the URI's path, else `financial_app`."""
        if self.db_name:
            return self.db_name
        if self.mongodb_uri:
            path = urlsplit(self.mongodb_uri.get_secret_value()).path.strip("/")
            if path:
                return path
        return "financial_app"

    def of(self, kind: type[Part]) -> Part:
        """The settings that a platform or domain brings."""
        part = self._parts.get(kind)
        if part is None:
            part = self._parts[kind] = kind()
        return cast("Part", part)


def load(*parts: type[BaseSettings], **overrides: object) -> Settings:
    """Read and check the settings that all share, and those of `parts`.

    In tests the process's clock follows CLOCK_FILE from then on. Raises ConfigError with one line for each
    setting that is wrong.
    """
    wrong: list[str] = []
    read = [_read(part, _taken(part, overrides), wrong) for part in parts]
    settings = _read(Settings, overrides, wrong)
    if settings is None or wrong:
        raise ConfigError("\n".join(wrong))
    settings._parts.update({type(part): part for part in read if part is not None})
    if settings.clock_file is not None:
        try:
            CLOCK.follow(settings.clock_file)
        except (OSError, ValueError):
            raise ConfigError("CLOCK_FILE: must be a readable file of 8 bytes") from None
    return settings


def _taken(part: type[BaseSettings], given: dict[str, object]) -> Mapping[str, object]:
    """Takes out what is given of a part. All parts read the same files."""
    own = {f"{_prefix(part)}{name}": name for name in part.model_fields}
    taken = {own[name]: given.pop(name) for name in given.keys() & own}
    return {**taken, **{name: value for name, value in given.items() if name.startswith("_")}}


def _prefix(kind: type[BaseSettings]) -> str:
    return kind.model_config.get("env_prefix", "")


def _read(kind: type[Part], given: Mapping[str, object], wrong: list[str]) -> Part | None:
    try:
        return kind(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in item["loc"])
            message = str(item["msg"]).removeprefix("Value error, ")
            wrong.append(f"{_prefix(kind)}{name}".upper() + f": {message}" if name else message)
        return None
