"""Settings that all share, and how settings are read: nothing else reads the environment.

Each field is an environment variable of the same name in capitals, with the `env_prefix` of its class. `.env`
in the working directory is read too; the environment wins. `docs/configuration.md` lists all.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from server.core.access import ApiKey, parse_keys
from server.core.clock import CLOCK
from server.environment import APP_ENV, contradictions, file_problems, not_utf8, set_variables
from server.security.keys import ADVICE, decode_key, ring_of, weakness
from server.security.keys import parse_keys as parse_encryption_keys
from server.setting_types import (
    Collector,
    FilePath,
    IpAddress,
    Port,
    check_database_name,
    check_mongodb_uri,
    checked,
)

ENV_FILE = ".env"


class ConfigError(Exception):
    """Settings are wrong; the message has a line for each, with what would be right."""


class Prefixed(EnvSettingsSource):
    """The values of a field that is a table: variables FIELD_<NAME> that are not settings of their own."""

    def __init__(
        self, field: str, settings: type[BaseSettings], *sources: PydanticBaseSettingsSource
    ) -> None:
        super().__init__(settings)
        self._field = field
        self._sources = sources

    def __call__(self) -> dict[str, Any]:
        if self._field in self.current_state:  # given, and not to be merged
            return {}
        found: dict[str, str | None] = {}
        for source in self._sources:
            if isinstance(source, EnvSettingsSource):
                found |= source.env_vars
        prefix, own = f"{self._field}_", self.settings_cls.model_fields
        values = {
            name.removeprefix(prefix): value
            for name, value in found.items()
            if name.startswith(prefix) and name not in own
        }
        return {self._field: values} if values else {}


class SettingsBase(BaseSettings):
    """The settings of one part of Finlink."""

    prefixes: ClassVar[tuple[str, ...]] = ()  # of variables that are no fields, in lower case
    # Of those, the ones that may be secrets.
    secret_prefixes: ClassVar[tuple[str, ...]] = ()
    model_config = SettingsConfigDict(
        env_file=ENV_FILE, env_file_encoding="utf-8-sig", extra="ignore", env_ignore_empty=True
    )

    app_env: Literal["development", "production", "test"] = Field(
        default="development", validation_alias=AliasChoices(*APP_ENV, "app_env")
    )

    @property
    def production(self) -> bool:
        return self.app_env == "production"

    def problems(self) -> Iterator[str]:
        """Why values, each of them valid, are wrong together. Each line names the variables."""
        yield from ()

    def problems_with(self, settings: "Settings") -> Iterator[str]:
        """The same of values of this part and of others; those of parts that are not loaded are unknown."""
        yield from ()

    def incomplete(self, *names: str) -> Iterator[str]:
        """A problem if some of these are set and others are not."""
        if len({getattr(self, name) is None for name in names}) > 1:
            listed = ", ".join(name.upper() for name in names)
            yield f"{listed} must be set together or not at all"


Part = TypeVar("Part", bound=SettingsBase)


class Settings(SettingsBase):
    """Settings that all share. `of` has the rest."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    data_dir: FilePath = Path(".data")
    workers: Annotated[int, Field(ge=1, le=128)] = Field(
        default_factory=lambda: os.cpu_count() or 1
    )
    # Of tests: 8 bytes, the milliseconds by which the clock of all processes is ahead.
    clock_file: FilePath | None = None

    # Where Prometheus reads. 0 is off; unset, `run` takes 9464 and a server alone has none.
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    metrics_host: IpAddress = "127.0.0.1"
    # An OTLP collector's gRPC port; unset, nothing is traced.
    otel_exporter_otlp_endpoint: Collector | None = None
    trace_percent: Annotated[float, Field(ge=0, le=100)] = 1.0  # of calls

    # Between Envoy and servers on other hosts: this side's certificate, and the CA of both sides.
    server_tls_cert: FilePath | None = None
    server_tls_key: FilePath | None = None
    server_tls_ca: FilePath | None = None

    # MongoDB. Without a URI, `run` starts its own mongod.
    mongodb_uri: Annotated[SecretStr | None, checked(check_mongodb_uri)] = None
    db_name: Annotated[str, checked(check_database_name)] | None = None
    mongo_driver: Literal["pymongo", "motor"] = "pymongo"
    mongo_port: Port = 27117  # of the mongod that `run` starts
    mongo_timeout_ms: Annotated[int, Field(ge=100, le=60_000)] = 2_000
    mongo_pool_size: Annotated[int, Field(ge=1, le=1_000)] = 50

    # Who may call, beside the keys that `python -m server keys` makes.
    api_keys: Annotated[str, checked(parse_keys)] = Field(
        default="", repr=False
    )  # NAME:SCOPE:DIGEST,…
    allow_anonymous: bool = False  # in production: start although there are no keys
    # `always`: a call needs a credential also if Finlink has no API keys.
    auth_required: Literal["with_keys", "always"] = "with_keys"

    # Calls of one user who has signed in, and those of them that change users or the own account; 0 is none.
    user_calls_per_hour: Annotated[int, Field(ge=0, le=1_000_000)] = 1_000
    user_changes_per_hour: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    # With it the workers of a host count them together; `run` makes it.
    user_limits_file: FilePath | None = None

    # Responses of hot reads that a worker keeps; with 0 none.
    response_cache_mb: Annotated[int, Field(ge=0, le=4_096)] = 16
    # With it the workers of a host notify each other of changes; `run` makes it.
    generations_file: FilePath | None = None

    # Whether platforms without an address are the sandbox's: in development, not in production.
    sandbox: bool | None = None
    # Of its API that makes failures, on this machine alone; 0 is off.
    sandbox_control_port: Annotated[int, Field(ge=0, le=65535)] = 8084
    sandbox_data: FilePath | None = None

    _parts: Mapping[type[SettingsBase], SettingsBase] = PrivateAttr(default_factory=dict)

    def problems(self) -> Iterator[str]:
        yield from self.incomplete("server_tls_cert", "server_tls_key", "server_tls_ca")
        if self.clock_file is not None and self.app_env != "test":
            yield "CLOCK_FILE: is for tests: it needs APP_ENV=test"
        if self.production and self.sandbox:
            yield "SANDBOX=true is for development; it is refused in production"
        if self.sandbox_data is not None and not self.sandbox_data.is_dir():
            yield "SANDBOX_DATA: must be a folder that exists"

    @property
    def fixed_keys(self) -> tuple[ApiKey, ...]:
        """The API keys of the environment."""
        return parse_keys(self.api_keys)

    @property
    def use_sandbox(self) -> bool:
        """Whether platforms without an address of their own are the sandbox's."""
        return not self.production if self.sandbox is None else self.sandbox

    @property
    def database(self) -> str:
        """The database's name: DB_NAME, else the URI's path, else `financial_app`."""
        uri = self.mongodb_uri.get_secret_value() if self.mongodb_uri else ""
        return self.db_name or urlsplit(uri).path.strip("/") or "financial_app"

    def of(self, kind: type[Part]) -> Part:
        """The settings of one part, as they were loaded with these."""
        return cast("Part", self._parts[kind])

    def has(self, kind: type[SettingsBase]) -> bool:
        """Whether the settings of a part were loaded: Envoy's process loads those of the edge alone."""
        return kind in self._parts


class KeySettings(SettingsBase):
    """The key ring: `id:key,id:key`, and a key alone, which is one of the ring as well."""

    encryption_keys: Annotated[SecretStr | None, checked(parse_encryption_keys)] = None
    encryption_key: Annotated[SecretStr | None, checked(decode_key)] = None

    def problems(self) -> Iterator[str]:
        try:
            ring = self.ring
        except ValueError as error:
            yield str(error)
            return
        if self.production and not ring:
            yield (
                "ENCRYPTION_KEYS or ENCRYPTION_KEY must be set in production, as "
                f"ENCRYPTION_KEYS=2026a:KEY; {ADVICE}"
            )
        for key_id, key in ring.items() if self.production else ():
            if weak := weakness(key):
                yield f"the encryption key {key_id} {weak} and is refused in production; {ADVICE}"

    @property
    def ring(self) -> dict[str, bytes]:
        """The encryption keys by their ids; the first encrypts. Empty if none is set."""
        several, single = self.encryption_keys, self.encryption_key
        return ring_of(
            parse_encryption_keys(several.get_secret_value()) if several else {},
            decode_key(single.get_secret_value()) if single else None,
        )


def load(*kinds: type[SettingsBase], **given: object) -> Settings:
    """The settings that all share, and those of `kinds`. Values in `given` take precedence over the
    environment.

    In tests the process's clock follows CLOCK_FILE from then on. Raises ConfigError with one line for each
    setting that is wrong.
    """
    file = cast("str | Path | None", given.get("_env_file", ENV_FILE))
    wrong = list(file_problems(Path(file)) if file else ())
    every: tuple[type[SettingsBase], ...] = (Settings, *kinds)
    for each in every:
        wrong += not_utf8(_variables(each), each.prefixes)
    if wrong:
        raise ConfigError("\n".join(dict.fromkeys(wrong)))
    wrong += contradictions(set_variables(Path(file or os.devnull)))
    settings = _read(Settings, given, wrong)
    settings._parts = {kind: _read(kind, given, wrong) for kind in kinds}
    named = [line.partition(":")[0] for line in wrong]
    for part in settings._parts.values():
        together = part.problems_with(settings)
        # A wrong value was replaced by its default, which is no reason to complain of that.
        wrong += [line for line in together if not any(name in line for name in named)]
    if wrong:
        raise ConfigError("\n".join(dict.fromkeys(wrong)))
    if settings.clock_file is not None:
        try:
            CLOCK.follow(settings.clock_file)
        except (OSError, ValueError):
            raise ConfigError("CLOCK_FILE: must be a readable file of 8 bytes") from None
    return settings


def _read(kind: type[Part], given: Mapping[str, object], wrong: list[str]) -> Part:
    """Adds to `wrong`. A wrong value is replaced by its default, to find what else is wrong."""
    names = _variables(kind)
    own: dict[str, Any] = {
        names.get(name, name): value
        for name, value in given.items()
        if name in names or name.startswith("_")
    }
    errors: dict[str, str] = {}
    try:
        part = kind(**own)
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            field, *inside = (str(each) for each in item["loc"])
            field = names.get(field.lower(), field)
            own[field] = kind.model_fields[field].get_default(call_default_factory=True)
            name = "_".join([name_in_environment(kind, field), *inside]).upper()
            errors[name] = f"{name}: {_in_words(item['type'], item['msg'])}"
        part = kind(**own)
    wrong += errors.values()
    wrong += (line for line in part.problems() if not any(name in line for name in errors))
    return part


def _in_words(error_type: str, message: str) -> str:
    """Returns the message of Pydantic in words that say what would be right."""
    if error_type.startswith("bool"):
        return "must be true or false"
    stem, _, _ = message.partition(", unable to")
    return stem.removeprefix("Value error, ").replace("Input should be", "must be")


def _variables(kind: type[SettingsBase]) -> dict[str, str]:
    """The fields by their names in the environment, in lower case."""
    return {name_in_environment(kind, field).lower(): field for field in kind.model_fields}


def name_in_environment(kind: type[SettingsBase], field: str) -> str:
    prefix = "" if field == "app_env" else kind.model_config.get("env_prefix", "")
    return f"{prefix}{field}".upper()
