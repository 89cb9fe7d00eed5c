"""TLS in Envoy's configuration: REST over HTTPS, mutual TLS for stubs.

Not in envoy.yaml itself, because Envoy does not accept a file whose certificates are missing.
HTTPS is the REST listener on another port: the same filters, the same limits.
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from server.edge.limits import named

_CONTEXTS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
DOWNSTREAM, UPSTREAM = f"{_CONTEXTS}.DownstreamTlsContext", f"{_CONTEXTS}.UpstreamTlsContext"
HEADERS = "envoy.filters.http.header_mutation"
HSTS = {
    "header": {"key": "strict-transport-security", "value": "max-age=31536000; includeSubDomains"},
    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
}
TLS_SOCKET = "envoy.transport_sockets.tls"
HTTPS = "rest-tls"
# TLS 1.2 with forward secrecy only; those of TLS 1.3 are not chosen.
CIPHERS = (
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]",
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)


@dataclass(frozen=True)
class Certificate:
    """PEM files: the certificate with its chain, and its key."""

    chain: Path
    key: Path


@dataclass(frozen=True)
class Tls:
    """What speaks TLS in a run, and what the plain HTTP port does."""

    http: Literal["on", "redirect", "off"] = "on"
    rest: Certificate | None = None
    rest_port: int = 3443
    hsts: bool = False  # browsers are to stay with HTTPS
    grpc: Certificate | None = None
    grpc_client_ca: Path | None = None
    # Of Envoy, towards servers on other hosts.
    server: Certificate | None = None
    server_ca: Path | None = None


def add_https(listeners: list[dict[str, Any]], rest: dict[str, Any], tls: Tls) -> None:
    """Add the HTTPS listener after the REST one, which stays, redirects or goes."""
    if tls.rest is not None:
        https = copy.deepcopy(rest)
        https["name"] = HTTPS
        https["address"]["socket_address"]["port_value"] = tls.rest_port
        _speak(https, tls.rest, ["h2", "http/1.1"])
        if tls.hsts:
            headers = named(manager_of(https)["http_filters"], HEADERS)["typed_config"]
            headers["mutations"]["response_mutations"].append({"append": HSTS})
        listeners.insert(listeners.index(rest) + 1, https)
    if tls.http == "off":
        listeners.remove(rest)
    elif tls.http == "redirect":
        _redirect(manager_of(rest), tls.rest_port)


def require_client_certificates(grpc: dict[str, Any], tls: Tls) -> None:
    """Have the gRPC listener speak TLS with callers whose certificate the CA has signed."""
    if tls.grpc is not None:
        context = _speak(grpc, tls.grpc, ["h2"])
        context["require_client_certificate"] = True
        context["common_tls_context"]["validation_context"] = {
            "trusted_ca": {"filename": str(tls.grpc_client_ca)}
        }


def secure_servers(cluster: dict[str, Any], tls: Tls) -> None:
    """Have Envoy show its certificate to servers, and take none but those of the CA for one."""
    if tls.server is None:
        return
    context = {
        "@type": UPSTREAM,
        "common_tls_context": {
            "alpn_protocols": ["h2"],
            # Envoy as a client would stop at 1.2.
            "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificates": [_pair(tls.server)],
            "validation_context": {"trusted_ca": {"filename": str(tls.server_ca)}},
        },
    }
    cluster["transport_socket"] = {"name": TLS_SOCKET, "typed_config": context}


def manager_of(listener: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a listener's HTTP connection manager."""
    manager: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return manager


def _speak(listener: dict[str, Any], certificate: Certificate, alpn: list[str]) -> dict[str, Any]:
    context = {
        "@type": DOWNSTREAM,
        "common_tls_context": {
            "alpn_protocols": alpn,
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_2",
                "tls_maximum_protocol_version": "TLSv1_3",
                "cipher_suites": list(CIPHERS),
            },
            "tls_certificates": [_pair(certificate)],
        },
    }
    (chain,) = listener["filter_chains"]
    chain["transport_socket"] = {"name": TLS_SOCKET, "typed_config": context}
    # A caller that connects and says nothing is let go.
    chain["transport_socket_connect_timeout"] = "5s"
    return context


def _pair(certificate: Certificate) -> dict[str, Any]:
    return {
        "certificate_chain": {"filename": str(certificate.chain)},
        "private_key": {"filename": str(certificate.key)},
    }


def _redirect(manager: dict[str, Any], port: int) -> None:
    """Answer everything with 308, which keeps verb and body."""
    route = {
        "name": "redirect",
        "match": {"prefix": "/"},
        "redirect": {
            "https_redirect": True,
            "port_redirect": port,
            "response_code": "PERMANENT_REDIRECT",
        },
    }
    del manager["rds"]
    host = {"name": "all", "domains": ["*"], "routes": [route]}
    manager["route_config"] = {"virtual_hosts": [host]}
    wanted = {HEADERS, "envoy.filters.http.router"}
    manager["http_filters"] = [f for f in manager["http_filters"] if f["name"] in wanted]
