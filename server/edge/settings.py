"""Settings of Envoy: where it listens, TLS, and what it lets callers do."""

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource

from server.config import Port, SettingsBase, Words

Limit = Annotated[int, Field(ge=1, le=1_000_000)]  # calls in a window


def _cidrs(value: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(cidr)) for cidr in value)
    except ValueError as error:
        raise ValueError(
            f"must be CIDRs such as 10.0.0.0/8, separated by commas; {error}"
        ) from None


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    for origin in value:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or f"{parts.scheme}://{parts.netloc}" != origin:
            raise ValueError("must be origins such as https://app.example, separated by commas")
    return value


def _address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not (host and colon and port.isdecimal() and int(port) < 65_536) or ":" in host:
        raise ValueError("must be HOST:PORT")
    return value


class _GroupLimits(EnvSettingsSource):
    """The limits by group: variables RATE_LIMIT_<GROUP> that are not settings of their own."""

    def __init__(self, settings: type[BaseSettings], *sources: PydanticBaseSettingsSource) -> None:
        super().__init__(settings)
        self._sources = sources

    def __call__(self) -> dict[str, Any]:
        if "rate_limit" in self.current_state:  # given, and not to be merged
            return {}
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


class EdgeSettings(SettingsBase):
    host: str = "0.0.0.0"  # noqa: S104 - as the PRD's PORT: reachable from other machines
    port: Port = 3000
    grpc_port: Port = 50051
    admin_port: Port = 9901  # on loopback only
    # Which calls are logged: those that no server logs, failed and slow ones, or all.
    access_log: Literal["notable", "all"] = "notable"

    # HTTPS. Without a certificate, development makes one.
    tls_port: Port = 3443
    tls_cert: Path | None = None
    tls_key: Path | None = None
    plain_http: Literal["on", "redirect", "off"] | None = None
    # With all three, stubs must show a certificate of this CA.
    grpc_tls_cert: Path | None = None
    grpc_tls_key: Path | None = None
    grpc_tls_client_ca: Path | None = None

    # Limits are per client address.
    trusted_proxies: Annotated[Words, AfterValidator(_cidrs)] = ()  # whose X-Forwarded-For counts
    cors_origins: Annotated[Words, AfterValidator(_origins)] = ()
    rate_limits: Literal["on", "off"] = "on"
    rate_limit_window_ms: Annotated[int, Field(ge=1_000, le=86_400_000)] = 60_000
    rate_limit_max_requests: Limit = 100
    # By group, RATE_LIMIT_<GROUP>; the others have the contract's.
    rate_limit: Annotated[dict[str, Limit], NoDecode] = Field(default_factory=dict)
    rate_limit_service: Annotated[str, AfterValidator(_address)] | None = None  # of many Envoys
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
        groups = _GroupLimits(settings_cls, dotenv_settings, env_settings)
        return init_settings, env_settings, dotenv_settings, groups

    def problems(self) -> Iterator[str]:
        yield from self.incomplete("tls_cert", "tls_key")
        yield from self.incomplete("grpc_tls_cert", "grpc_tls_key", "grpc_tls_client_ca")

    @property
    def http(self) -> Literal["on", "redirect", "off"]:
        """The behaviour of the plain HTTP port. In production it redirects to HTTPS by default."""
        return self.plain_http or ("redirect" if self.production else "on")
