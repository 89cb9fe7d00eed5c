"""Traces of Envoy, which begin with it: added to the configuration where a collector is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from server.config import Settings
from server.edge.parts import part

COLLECTOR = "otlp"


@dataclass(frozen=True)
class Tracing:
    host: str
    port: int
    tls: bool
    percent: float  # of calls that are not part of a trace already


def tracing_of(settings: Settings) -> Tracing | None:
    endpoint = settings.otel_exporter_otlp_endpoint
    if endpoint is None:
        return None
    parts = urlsplit(endpoint)
    tls = parts.scheme == "https"
    return Tracing(
        str(parts.hostname), parts.port or (443 if tls else 4317), tls, settings.trace_percent
    )


def fill(config: dict[str, Any], managers: Sequence[dict[str, Any]], tracing: Tracing) -> None:
    """Let these connection managers trace, and make the collector known."""
    for manager in managers:
        manager["tracing"] = part("tracing", calls=round(tracing.percent * 10_000))
        manager["request_id_extension"] = part("request_id")
    collector = part("grpc_cluster", name=COLLECTOR, host=tracing.host, port=tracing.port)
    if tracing.tls:
        collector["transport_socket"] = part("collector_tls", host=tracing.host)
    config["static_resources"]["clusters"].append(collector)
