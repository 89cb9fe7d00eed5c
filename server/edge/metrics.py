"""Envoy's metrics where Prometheus can read them; the admin port, on loopback, could also stop Envoy."""

from dataclasses import dataclass
from typing import Any

from server.edge.clusters import cluster

_TYPES = "type.googleapis.com/envoy.extensions"
_ADMIN = "admin"
_GET = {"name": ":method", "string_match": {"exact": "GET"}}


@dataclass(frozen=True)
class Metrics:
    """Where `/metrics` is served."""

    host: str
    port: int


def add(config: dict[str, Any], admin_port: int, metrics: Metrics) -> None:
    """One more listener, that passes this one page on and nothing else."""
    resources = config["static_resources"]
    resources["clusters"].append(cluster(_ADMIN, "127.0.0.1", admin_port))
    page = {
        "match": {"path": "/metrics", "headers": [_GET]},
        "route": {"cluster": _ADMIN, "prefix_rewrite": "/stats/prometheus"},
    }
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "metrics",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [page]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"},
            }
        ],
    }
    http = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    resources["listeners"].append(
        {
            "name": "metrics",
            "address": {"socket_address": {"address": metrics.host, "port_value": metrics.port}},
            "filter_chains": [{"filters": [http]}],
        }
    )
