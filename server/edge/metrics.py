"""Envoy's metrics where Prometheus can read them; the admin port, on loopback, could also stop Envoy."""

from dataclasses import dataclass
from typing import Any

from server.edge.parts import part


@dataclass(frozen=True)
class Metrics:
    """Where `/metrics` is served."""

    host: str
    port: int


def add(config: dict[str, Any], admin_port: int, metrics: Metrics) -> None:
    """One more listener, that passes this one page on and nothing else."""
    resources = config["static_resources"]
    resources["clusters"].append(part("cluster", name="admin", host="127.0.0.1", port=admin_port))
    resources["listeners"].append(part("metrics", host=metrics.host, port=metrics.port))
