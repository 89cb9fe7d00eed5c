"""Settings of Envoy: where it listens, TLS, and what it lets callers do."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource

from server.config import Prefixed, SettingsBase
from server.setting_types import Cidrs, FilePath, HostPort, IpAddress, Origins, Port

Limit = Annotated[int, Field(ge=1, le=1_000_000)]  # calls in a window
_GROUP_PREFIX = "rate_limit_"


class EdgeSettings(SettingsBase):
    prefixes: ClassVar[tuple[str, ...]] = (_GROUP_PREFIX,)

    host: IpAddress | None = None
    port: Port = 3000
    grpc_port: Port = 50051
    admin_port: Port = 9901  # on loopback only
    # Which calls are logged: those that no server logs, failed and slow ones, or all.
    access_log: Literal["notable", "all"] = "notable"

    # HTTPS. Without a certificate, development makes one.
    tls_port: Port = 3443
    tls_cert: FilePath | None = None
    tls_key: FilePath | None = None
    # The oldest version that callers may speak, over REST and gRPC.
    tls_min_version: Literal["1.2", "1.3"] = "1.3"
    plain_http: Literal["on", "redirect", "off"] | None = None
    # With all three, stubs must show a certificate of this CA.
    grpc_tls_cert: FilePath | None = None
    grpc_tls_key: FilePath | None = None
    grpc_tls_client_ca: FilePath | None = None

    # Limits are per client address.
    trusted_proxies: Cidrs = ()  # whose X-Forwarded-For counts
    cors_origins: Origins = ()
    rate_limits: Literal["on", "off"] = "on"
    rate_limit_window_ms: Annotated[int, Field(ge=1_000, le=86_400_000)] = 60_000
    rate_limit_max_requests: Limit = 100
    # By group, RATE_LIMIT_<GROUP>; the others have the contract's.
    rate_limit: Annotated[dict[str, Limit], NoDecode] = Field(default_factory=dict)
    rate_limit_service: HostPort | None = None  # of many Envoys
    envoy_heap_mb: Annotated[int, Field(ge=128, le=1_048_576)] = 1_024

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        groups = Prefixed("rate_limit", settings_cls, dotenv_settings, env_settings)
        return init_settings, env_settings, dotenv_settings, groups

    def problems(self) -> Iterator[str]:
        yield from self.incomplete("tls_cert", "tls_key")
        yield from self.incomplete("grpc_tls_cert", "grpc_tls_key", "grpc_tls_client_ca")

    @property
    def address(self) -> str:
        """Where REST and gRPC listen: in production on all IPv4 addresses, else on this machine alone.

        Development needs no API key, so it is not for others unless HOST says so.
        """
        return self.host or ("0.0.0.0" if self.production else "127.0.0.1")  # noqa: S104

    @property
    def http(self) -> Literal["on", "redirect", "off"]:
        """The behaviour of the plain HTTP port. In production it redirects to HTTPS by default."""
        return self.plain_http or ("redirect" if self.production else "on")
