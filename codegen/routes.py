"""Envoy's routes, made from the contract: `gen/envoy-routes.json`, which `envoy.yaml` reads.

Every RPC has a route of its own
under each base path. Envoy finds it by the longest literal prefix of the path and then tries only the few
routes that begin so: more RPCs do not make a call slower.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.duration_pb2 import Duration

from codegen import limits
from codegen.envoy import BASES, published
from server.edge.limits import CLUSTER, CORS, OVERALL, RATE_LIMIT
from server.rpc.method import MAX_REQUEST_BYTES, Method, methods_of

FILE = "envoy-routes.json"
BUFFER = "envoy.filters.http.buffer"
COMPRESSOR = "envoy.filters.http.compressor"
# Groups whose replies have secrets: they are not compressed.
UNCOMPRESSED = frozenset({"auth", "sessions", "otp"})
HEAD = "finlink.head"  # in envoy.yaml; off where a route does not turn it on
TRANSCODER = "envoy.filters.http.grpc_json_transcoder"

_ENVOY = "type.googleapis.com/envoy"
_FILTERS = f"{_ENVOY}.extensions.filters.http"
_VARIABLE = re.compile(r"\{[a-z_]+\}")
# A dead worker has the least requests, so the balancer likes it best: ask it often.
_RETRIES = {
    "num_retries": 2,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": f"{_ENVOY}.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
    "host_selection_retry_max_attempts": 50,
}


def write(contract: FileDescriptorSet, folder: Path) -> None:
    """Write the routes of the contract, and the limits for a rate limit service that many Envoys ask."""
    (folder / FILE).write_text(text(services_of(contract), "gen/envoy.binpb"))
    shared = folder / "ratelimit" / "config" / "finlink.yaml"
    shared.parent.mkdir(parents=True, exist_ok=True)
    shared.write_text(yaml.safe_dump(limits.of_service(), sort_keys=False))


def services_of(contract: FileDescriptorSet) -> list[str]:
    """The names of its services, whose modules are imported."""
    services = []
    for file in contract.file:
        if file.service:
            importlib.import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
            services += [f"{file.package}.{service.name}" for service in file.service]
    return services


def text(services: Sequence[str], descriptors: str) -> str:
    """The file that Envoy reads."""
    return json.dumps({"resources": [build(services, descriptors)]}, indent=1)


def build(services: Sequence[str], descriptors: str) -> dict[str, Any]:
    """Envoy's `RouteConfiguration`. The modules of the services must have been imported."""
    services = sorted(services)
    tree = _tree(methods_of(services).values())
    host = {
        "name": "finlink",
        "domains": ["*"],
        "typed_per_filter_config": {
            CORS: _cors(),
            RATE_LIMIT: limits.rate_limit(),
            TRANSCODER: _transcoder(services, descriptors),
        },
        "matcher": {
            "matcher_tree": {
                "input": {
                    "name": "path",
                    "typed_config": {
                        "@type": f"{_ENVOY}.type.matcher.v3.HttpRequestHeaderMatchInput",
                        "header_name": ":path",
                    },
                },
                "prefix_match_map": {
                    "map": {prefix: _listed(routes) for prefix, routes in tree.items()}
                },
            },
            "on_no_match": _listed([_not_found()]),
        },
    }
    return {
        "@type": f"{_ENVOY}.config.route.v3.RouteConfiguration",
        "name": "rest",
        # One address, found by the listener, whatever the caller wrote.
        "request_headers_to_add": [
            _header("x-forwarded-for", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")
        ],
        "virtual_hosts": [host],
    }


def _header(name: str, value: str) -> dict[str, Any]:
    """A header to set, in place of any of that name."""
    return {
        "header": {"key": name, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }


def _off() -> dict[str, Any]:
    """The setting of a route that has no use for a filter."""
    return {"@type": f"{_ENVOY}.config.route.v3.FilterConfig", "config": {}, "disabled": True}


def _tree(methods: Iterable[Method]) -> dict[str, list[dict[str, Any]]]:
    """Routes by the literal prefix of their path, each with all that can match a path with this prefix."""
    routed = [
        (path, method)
        for method in methods
        for own in (method.http_path, *method.other_paths)
        for path in published(own)
    ]
    routed.sort(key=lambda each: _specificity(each[0]))
    tree: dict[str, list[dict[str, Any]]] = {path: [_health(path)] for path in _health_paths()}
    for prefix in {_literal(path) for path, _ in routed}:
        tree[prefix] = [
            _route(path, method, verb)
            for path, method in routed
            if prefix == path or ("{" in path and prefix.startswith(_literal(path)))
            for verb in (["get", "head"] if method.verb == "get" else [method.verb])
        ]
    return {prefix: [*tree[prefix], _not_found()] for prefix in sorted(tree)}


def _literal(path: str) -> str:
    return path.partition("{")[0]


def _specificity(path: str) -> list[tuple[bool, bool, str]]:
    """Sorts literal segments before `{id}:verb`, and that before `{id}`, as the transcoder does."""
    return [("{" in segment, segment.endswith("}"), segment) for segment in path.split("/")]


def _route(path: str, method: Method, verb: str) -> dict[str, Any]:
    """`verb` is that of the RPC, or `head` where that is `get`."""
    rules, reads = method.rules, not method.changes_state
    # Reads may be sent again to another worker, whatever happened to the first; changes only where no worker
    # has seen them.
    retried = "reset" if reads else "reset-before-request"
    action: dict[str, Any] = {
        "cluster": CLUSTER,
        "timeout": _seconds(rules.timeout, 0 if method.streams else 15 if reads else 30),
        "retry_policy": {"retry_on": f"connect-failure,refused-stream,{retried}", **_RETRIES},
    }
    if method.streams or method.takes_stream:
        # A server sends a heartbeat each 15 seconds: silence means that one end is gone or stuck.
        action["idle_timeout"] = _seconds(rules.stream_idle_timeout, 60)
    headers = [{"name": ":method", "string_match": {"exact": verb.upper()}}]
    *_, tail = literal = _VARIABLE.split(path)
    matched: dict[str, Any] = {"path": path}
    if len(literal) > 1:
        matched = {"safe_regex": {"regex": "[^/]+".join(re.escape(text) for text in literal)}}
        if tail:  # costs a tenth of what the expression does, and is asked first
            headers.insert(0, {"name": ":path", "string_match": {"contains": tail}})
    route = {
        "name": method.descriptor.name,
        "match": {**matched, "headers": headers},
        "route": action,
        "metadata": _metadata(
            method.max_request_bytes,
            group=method.rate_limit_group,
            overall=limits.groups()[method.rate_limit_group].overall,
        ),
    }
    filters = {}
    if buffer := _buffer(method):
        filters[BUFFER] = {"@type": f"{_FILTERS}.buffer.v3.BufferPerRoute", **buffer}
    if method.rate_limit_group in UNCOMPRESSED:
        filters[COMPRESSOR] = {
            "@type": f"{_FILTERS}.compressor.v3.CompressorPerRoute",
            "disabled": True,
        }
    if verb == "head":
        filters[HEAD] = {"@type": f"{_ENVOY}.config.route.v3.FilterConfig", "config": {}}
    if filters:
        route["typed_per_filter_config"] = filters
    return route


def _buffer(method: Method) -> dict[str, Any]:
    """How a request is held back until it is whole, where that is not as for most."""
    if method.takes_stream:
        return {"disabled": True}  # the server counts
    if method.rules.max_request_bytes:
        return {"buffer": {"max_request_bytes": method.rules.max_request_bytes}}
    return {}


def _seconds(given: Duration, default: int) -> str:
    """A duration of the contract, or the default where it has none."""
    return f"{given.ToTimedelta().total_seconds() or default:g}s"


def _metadata(body: int, *, group: str | None = None, overall: bool = True) -> dict[str, Any]:
    """The metadata of a route, for filters and Envoy's own replies."""
    metadata = {"body": f"{body >> 10} KiB"}
    if group is not None:
        metadata["group"] = group
    if overall:
        metadata[OVERALL] = OVERALL
    return {"filter_metadata": {CLUSTER: metadata}}


def _listed(routes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "action": {
            "name": "routes",
            "typed_config": {"@type": f"{_ENVOY}.config.route.v3.RouteList", "routes": routes},
        }
    }


def _not_found() -> dict[str, Any]:
    """Comes last. It leads nowhere, so nothing gets round the limit of its group.

    It is no direct response, because Envoy's CORS, preflight requests included, is for routes with a cluster.
    """
    return {
        "name": "not-found",
        "match": {"prefix": "/"},
        "route": {"cluster": "nowhere", "cluster_not_found_response_code": "NOT_FOUND"},
        "metadata": _metadata(MAX_REQUEST_BYTES),
    }


def _health_paths() -> list[str]:
    return ["/health", *(f"{base}/health" for base in BASES)]


def _health(path: str) -> dict[str, Any]:
    """Alive: a process that replies to this need not be started again. For probes, so not limited."""
    return {
        "name": "health",
        "match": {"path": path},
        "direct_response": {"status": 200, "body": {"inline_string": '{"status":"alive"}'}},
        "response_headers_to_add": [_header("content-type", "application/json")],
        "typed_per_filter_config": {RATE_LIMIT: _off(), TRANSCODER: _off()},
    }


def _cors() -> dict[str, Any]:
    return {
        "@type": f"{_FILTERS}.cors.v3.CorsPolicy",
        "allow_origin_string_match": [],  # CORS_ORIGINS; none
        "allow_methods": "GET, POST, PUT, PATCH, DELETE",
        "allow_headers": (
            "authorization, content-type, idempotency-key, last-event-id, x-api-key, x-on-behalf-of, "
            "x-request-id, x-requested-with"
        ),
        "expose_headers": (
            "retry-after, www-authenticate, x-ratelimit-limit, x-ratelimit-remaining, "
            "x-ratelimit-reset, x-request-id"
        ),
        "allow_credentials": True,  # the session's cookie, for the origins above alone
        "max_age": "600",
    }


def _transcoder(services: Sequence[str], descriptors: str) -> dict[str, Any]:
    return {
        "@type": f"{_FILTERS}.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        "proto_descriptor": descriptors,
        "services": services,
        # The server reads body and query itself, strictly; see codegen/envoy.py.
        "ignore_unknown_query_parameters": True,
        "match_incoming_request_route": True,
        "max_response_body_size": 16 << 20,
        "request_validation_options": {"reject_unknown_method": True},
    }
