"""Traces of Envoy, which begin with it: added to the configuration where a collector is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from server.config import Settings
from server.edge.clusters import grpc_cluster

COLLECTOR = "otlp"
_TYPES = "type.googleapis.com/envoy"
_SAMPLERS = f"{_TYPES}.extensions.tracers.opentelemetry.samplers.v3"


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
        manager["tracing"] = {
            "spawn_upstream_span": False,
            "provider": {
                "name": "envoy.tracers.opentelemetry",
                "typed_config": {
                    "@type": f"{_TYPES}.config.trace.v3.OpenTelemetryConfig",
                    "service_name": "finlink-edge",
                    "grpc_service": {"envoy_grpc": {"cluster_name": COLLECTOR}, "timeout": "1s"},
                    "sampler": _sampler(tracing.percent),
                },
            },
        }
        # A caller's request id stays as it is, and does not decide what is traced: the sampler does.
        manager["request_id_extension"] = {
            "typed_config": {
                "@type": f"{_TYPES}.extensions.request_id.uuid.v3.UuidRequestIdConfig",
                "pack_trace_reason": False,
                "use_request_id_for_trace_sampling": False,
            }
        }
    config["static_resources"]["clusters"].append(_collector(tracing))


def _sampler(percent: float) -> dict[str, Any]:
    """As a stub's caller has decided, else so many of all calls."""
    of_all = {"numerator": round(percent * 10_000), "denominator": "MILLION"}
    ratio = {"@type": f"{_SAMPLERS}.TraceIdRatioBasedSamplerConfig", "sampling_percentage": of_all}
    return {
        "name": "envoy.tracers.opentelemetry.samplers.parent_based",
        "typed_config": {
            "@type": f"{_SAMPLERS}.ParentBasedSamplerConfig",
            "wrapped_sampler": {
                "name": "envoy.tracers.opentelemetry.samplers.trace_id_ratio_based",
                "typed_config": ratio,
            },
        },
    }


def _collector(tracing: Tracing) -> dict[str, Any]:
    cluster = grpc_cluster(COLLECTOR, tracing.host, tracing.port)
    if tracing.tls:
        cluster["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": f"{_TYPES}.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": tracing.host,
                "common_tls_context": {
                    "validation_context": {
                        "trusted_ca": {"filename": "/etc/ssl/certs/ca-certificates.crt"},
                        "match_typed_subject_alt_names": [
                            {"san_type": "DNS", "matcher": {"exact": tracing.host}}
                        ],
                    }
                },
            },
        }
    return cluster
