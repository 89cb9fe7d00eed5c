"""Rate limits, made from the groups of the contract: Envoy's own, and those of a service for many Envoys."""

from __future__ import annotations

from typing import Any

from finlink.rules.v1 import rate_limit_pb2
from finlink.rules.v1.rate_limit_pb2 import RateLimit

from server.edge.limits import CLUSTER, OVERALL

OVERALL_CALLS = 100
_TYPES = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3"
_CLIENT = {"masked_remote_address": {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}}


def of_service() -> dict[str, Any]:
    """The configuration of Envoy's rate limit service (envoyproxy/ratelimit) with the same limits."""
    groups = [
        {
            "key": "group",
            "value": group,
            "rate_limit": {"unit": "minute", "requests_per_unit": calls},
        }
        for group, calls in calls_by_group().items()
    ]
    address = {"key": "masked_remote_address", "descriptors": groups}
    return {"domain": "finlink", "descriptors": [address]}


def calls_by_group() -> dict[str, int]:
    """The calls of one address in a minute, overall and of each group."""
    return {OVERALL: OVERALL_CALLS} | {group: limit.calls for group, limit in groups().items()}


def groups() -> dict[str, RateLimit]:
    return {
        value.name.removeprefix("RATE_LIMIT_GROUP_").lower(): value.GetOptions().Extensions[
            rate_limit_pb2.rate_limit
        ]
        for value in rate_limit_pb2.RateLimitGroup.DESCRIPTOR.values
        if value.number
    }


def rate_limit() -> dict[str, Any]:
    """Limits per client address (IPv6: per /64). A call takes one token of its group's bucket and, if it gets
    one, one of the overall bucket."""
    every = {"default_value": {"numerator": 100}}
    return {
        "@type": f"{_TYPES}.LocalRateLimit",
        "stat_prefix": "rest",
        "filter_enabled": {**every, "runtime_key": "rate_limits.enabled"},
        "filter_enforced": {**every, "runtime_key": "rate_limits.enforced"},
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        "rate_limited_as_resource_exhausted": True,
        # A bucket takes about half a KiB. Past this number the one unused longest is dropped.
        "max_dynamic_descriptors": 20_000,
        # Of calls without an address; there are none.
        "token_bucket": _bucket(1, 60_000),
        "always_consume_default_token_bucket": False,
        "rate_limits": [
            {"actions": [_CLIENT, _of_route(OVERALL)]},
            {"actions": [_CLIENT, _of_route("group")]},
        ],
        "descriptors": [
            {
                "entries": [{"key": "masked_remote_address"}, {"key": "group", "value": group}],
                "token_bucket": _bucket(calls, 60_000),
            }
            for group, calls in calls_by_group().items()
        ],
    }


def _of_route(word: str) -> dict[str, Any]:
    """The group that a call counts against, if its route has one under this word."""
    return {
        "metadata": {
            "descriptor_key": "group",
            "metadata_key": {"key": CLUSTER, "path": [{"key": word}]},
            "source": "ROUTE_ENTRY",
        }
    }


def _bucket(calls: int, window_ms: int) -> dict[str, Any]:
    """The bucket that admits so many calls in a window."""
    return {
        "max_tokens": calls,
        "tokens_per_fill": calls,
        "fill_interval": f"{window_ms / 1000:g}s",
    }
