"""Servers beside Finlink's own that Envoy calls, as they are added to its configuration."""

from typing import Any

_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def cluster(name: str, host: str, port: int) -> dict[str, Any]:
    """One server, called over HTTP/1.1."""
    address = {"socket_address": {"address": host, "port_value": port}}
    return {
        "name": name,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def grpc_cluster(name: str, host: str, port: int) -> dict[str, Any]:
    """One server, called over HTTP/2."""
    options = {
        "@type": f"type.googleapis.com/{_HTTP}",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    return {**cluster(name, host, port), "typed_extension_protocol_options": {_HTTP: options}}
