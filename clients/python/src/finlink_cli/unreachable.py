"""Reasons why gRPC could not connect or be spoken, each with a hint."""

from __future__ import annotations

import os
from collections.abc import Sequence

_NO_GRPC = "Failed parsing HTTP/2"
_NO_TLS = "WRONG_VERSION_NUMBER"
_GRPC_PORT = "Finlink's gRPC listens at port 50051 unless it was given another."
# By a part of gRPC's own words: their meaning, and a hint.
_KNOWN: Sequence[tuple[str, str, str]] = (
    (
        "HTTP proxy",
        "the HTTP proxy on the way to {address} does not let it through",
        "Without the proxy: no_proxy={host}",
    ),
    (
        _NO_TLS,
        "{address} does not speak TLS",
        "Use --plain, or the port at which Finlink speaks TLS.",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "the certificate of {address} comes from nobody who is trusted",
        "Name the one who issued it with --ca FILE.",
    ),
    (
        "Hostname Verification",
        "the certificate of {address} is for another host",
        "Give the host's name as in the certificate: --address NAME:PORT.",
    ),
    (
        _NO_GRPC,
        "{address} does not speak gRPC; it may be the port of REST",
        _GRPC_PORT,
    ),
    (
        "Socket closed",
        "{address} closes the connection",
        "It may want --tls, or a client certificate; or it is not Finlink's gRPC.",
    ),
    ("lookup failed", "there is no host {host}", "Is --address right?"),
    (
        "refused",
        "nothing listens at {address}",
        "Start Finlink with 'make run', or name another with --address.",
    ),
)


def why(detail: str, address: str, *, encrypted: bool) -> tuple[str, str]:
    """The fault at `address`, which gRPC describes as `detail`, and a hint."""
    host = address.rpartition(":")[0]
    if encrypted and "Socket closed" in detail:  # as by Envoy
        detail = _NO_TLS
    if is_http(detail):
        detail = _NO_GRPC
    known = next((each for each in _KNOWN if each[0] in detail), None)
    if known is None:
        message = f"no Finlink responds at {address}: {detail}"
        hint = "Is it HOST:PORT of Finlink's gRPC, and does it want --tls?"
    else:
        message, hint = (text.format(address=address, host=host) for text in known[1:])
    if (variable := _proxy(host)) and "no_proxy" not in hint:
        message += f", or the proxy in {variable} is at fault"
        hint += f" Without the proxy: no_proxy={host}"
    return message, hint


def is_http(message: str) -> bool:
    """Whether an error without a reason of Finlink was a reply of REST, or of a proxy for the web."""
    return message.startswith("{") or "http2 header with status" in message


def _proxy(host: str) -> str:
    """The variable whose proxy gRPC uses for a host, if any."""
    for exempt in ("no_grpc_proxy", "no_proxy"):
        if exempt in os.environ:
            names = [name.strip().lstrip(".") for name in os.environ[exempt].split(",")]
            if any(name and host.endswith(name) for name in names):
                return ""
            break
    proxies = ("grpc_proxy", "https_proxy", "http_proxy")
    return next((name for name in proxies if os.environ.get(name)), "")
