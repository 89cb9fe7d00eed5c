"""TLS in Envoy's configuration: REST over HTTPS, mutual TLS for stubs.

Not in envoy.yaml itself, because Envoy does not accept a file whose certificates are missing.
HTTPS is the REST listener on another port: the same filters, the same limits.
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from server.edge.limits import named
from server.edge.parts import part

HEADERS = "envoy.filters.http.header_mutation"
HTTPS = "rest-tls"


@dataclass(frozen=True)
class Certificate:
    """PEM files: the certificate with its chain, and its key."""

    chain: Path
    key: Path


@dataclass(frozen=True)
class Tls:
    """The TLS settings of a run, and the behaviour of the plain HTTP port."""

    http: Literal["on", "redirect", "off"] = "on"
    rest: Certificate | None = None
    rest_port: int = 3443
    min_version: Literal["1.2", "1.3"] = "1.3"  # towards callers
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
        _speak(https, tls.rest, ["h2", "http/1.1"], tls)
        if tls.hsts:
            headers = named(manager_of(https)["http_filters"], HEADERS)["typed_config"]
            headers["mutations"]["response_mutations"].append(part("strict_transport"))
        listeners.insert(listeners.index(rest) + 1, https)
    if tls.http == "off":
        listeners.remove(rest)
    elif tls.http == "redirect":
        manager = manager_of(rest)
        del manager["rds"]
        # A caller who names no host cannot be sent to another port of it.
        del manager["http_protocol_options"]["default_host_for_http_10"]
        manager["route_config"] = part("redirect", port=tls.rest_port)
        wanted = {HEADERS, "envoy.filters.http.router"}
        manager["http_filters"] = [f for f in manager["http_filters"] if f["name"] in wanted]


def require_client_certificates(grpc: dict[str, Any], tls: Tls) -> None:
    """Have the gRPC listener speak TLS with callers whose certificate the CA has signed."""
    if tls.grpc is not None:
        context = _speak(grpc, tls.grpc, ["h2"], tls)
        context["require_client_certificate"] = True
        context["common_tls_context"]["validation_context"] = {
            "trusted_ca": {"filename": str(tls.grpc_client_ca)}
        }


def secure_servers(cluster: dict[str, Any], tls: Tls) -> None:
    """Have Envoy show its certificate to servers, and take none but those of the CA for one."""
    if tls.server is not None:
        files = {**_files(tls.server), "ca": str(tls.server_ca)}
        cluster["transport_socket"] = part("upstream_tls", **files)


def manager_of(listener: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a listener's HTTP connection manager."""
    manager: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return manager


def _speak(
    listener: dict[str, Any], certificate: Certificate, alpn: list[str], tls: Tls
) -> dict[str, Any]:
    least = f"TLSv{tls.min_version.replace('.', '_')}"
    socket: dict[str, Any] = part(
        "downstream_tls", alpn=alpn, min_version=least, **_files(certificate)
    )
    (chain,) = listener["filter_chains"]
    chain["transport_socket"] = socket
    # A connection without a request is closed.
    chain["transport_socket_connect_timeout"] = "5s"
    context: dict[str, Any] = socket["typed_config"]
    return context


def _files(certificate: Certificate) -> dict[str, str]:
    return {"chain": str(certificate.chain), "key": str(certificate.key)}
