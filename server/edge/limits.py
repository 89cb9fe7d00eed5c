"""Envoy's limits for callers: rate limits, trusted proxies, CORS, memory."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.edge.errors import StartError
from server.edge.parts import part
from server.edge.settings import EdgeSettings

HEAP = "envoy.resource_monitors.fixed_heap"
RATE_LIMIT = "envoy.filters.http.local_ratelimit"
SHARED_RATE_LIMIT = "envoy.filters.http.ratelimit"
CORS = "envoy.filters.http.cors"
XFF = "envoy.http.original_ip_detection.xff"
CLUSTER = "finlink"
OVERALL = "overall"  # the group of calls of all kinds
SERVICE = "ratelimit"


@dataclass(frozen=True)
class Limits:
    """The defaults are those of envoy.yaml and of the contract."""

    enabled: bool = True
    window_ms: int = 60_000
    # Calls in a window by group, where they are not those of the contract.
    calls: Mapping[str, int] = field(default_factory=dict)
    trusted_proxies: Sequence[str] = ()  # CIDRs
    cors_origins: Sequence[str] = ()
    heap_bytes: int = 1 << 30
    service: str | None = None  # HOST:PORT of a rate limit service that counts for many Envoys


def limits_of(settings: EdgeSettings) -> Limits:
    return Limits(
        enabled=settings.rate_limits == "on",
        window_ms=settings.rate_limit_window_ms,
        calls={OVERALL: settings.rate_limit_max_requests, **settings.rate_limit},
        trusted_proxies=settings.trusted_proxies,
        cors_origins=settings.cors_origins,
        heap_bytes=settings.envoy_heap_mb << 20,
        service=settings.rate_limit_service,
    )


def fill(
    config: dict[str, Any], manager: dict[str, Any], routes: dict[str, Any], limits: Limits
) -> None:
    """Write the limits into the configuration, the REST listener's connection manager and its routes.

    Raises KeyError with the name of what the template lacks, StartError for a group that nobody has.
    """
    monitors = config["overload_manager"]["resource_monitors"]
    named(monitors, HEAP)["typed_config"]["max_heap_size_bytes"] = limits.heap_bytes
    (host,) = routes["virtual_hosts"]
    _rate_limits(host["typed_per_filter_config"][RATE_LIMIT], limits)
    if limits.enabled and limits.service:
        share(config, manager, host, limits.service)
    if limits.trusted_proxies:
        networks = [ipaddress.ip_network(cidr) for cidr in limits.trusted_proxies]
        detection = named(manager["original_ip_detection_extensions"], XFF)["typed_config"]
        detection["xff_trusted_cidrs"]["cidrs"] = [
            {"address_prefix": str(network.network_address), "prefix_len": network.prefixlen}
            for network in networks
        ]
    host["typed_per_filter_config"][CORS]["allow_origin_string_match"] = [
        {"exact": origin} for origin in limits.cors_origins
    ]


def share(
    config: dict[str, Any], manager: dict[str, Any], host: dict[str, Any], service: str
) -> None:
    """Have a rate limit service count, instead of Envoy itself: the same descriptors go to it."""
    filters = manager["http_filters"]
    local = named(filters, RATE_LIMIT)
    host["rate_limits"] = host["typed_per_filter_config"].pop(RATE_LIMIT)["rate_limits"]
    for overrides in list(having(RATE_LIMIT, host["matcher"])):
        overrides[SHARED_RATE_LIMIT] = overrides.pop(RATE_LIMIT)
    filters[filters.index(local)] = part("shared_rate_limit")
    address, _, port = service.rpartition(":")
    cluster = part("grpc_cluster", name=SERVICE, host=address, port=int(port))
    config["static_resources"]["clusters"].append(cluster)


def _rate_limits(limiter: dict[str, Any], limits: Limits) -> None:
    limiter["filter_enabled"]["default_value"]["numerator"] = 100 if limits.enabled else 0
    buckets = {
        each["entries"][-1]["value"]: each["token_bucket"] for each in limiter["descriptors"]
    }
    for group in limits.calls.keys() - buckets.keys():
        known = ", ".join(sorted(buckets.keys() - {OVERALL}))
        raise StartError(f"RATE_LIMIT_{group.upper()}: there is no such group; there are {known}.")
    for group, bucket in buckets.items():
        calls = limits.calls.get(group, bucket["max_tokens"])
        bucket |= {
            "max_tokens": calls,
            "tokens_per_fill": calls,
            "fill_interval": f"{limits.window_ms / 1000:g}s",
        }


def having(key: str, node: object) -> Iterator[dict[str, Any]]:
    """Each mapping in the tree that has the key."""
    if isinstance(node, dict):
        if key in node:
            yield node
        for value in node.values():
            yield from having(key, value)
    elif isinstance(node, list):
        for value in node:
            yield from having(key, value)


def named(items: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """The item with this name. Raises KeyError with it."""
    for item in items:
        if item["name"] == name:
            return item
    raise KeyError(name)
