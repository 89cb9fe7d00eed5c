"""TLS of a server that Envoy reaches over a network: each side shows a certificate of one CA."""

from pathlib import Path

import grpc

from server.config import ConfigError, Settings


def server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """The credentials of SERVER_TLS_*; None without them. Raises ConfigError for files that cannot be
    used."""
    cert, key, ca = settings.server_tls_cert, settings.server_tls_key, settings.server_tls_ca
    if cert is None or key is None or ca is None:
        return None
    pair = (_read(key, "SERVER_TLS_KEY"), _read(cert, "SERVER_TLS_CERT"))
    return grpc.ssl_server_credentials(
        [pair], root_certificates=_read(ca, "SERVER_TLS_CA"), require_client_auth=True
    )


def _read(path: Path, setting: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{setting}: {path} cannot be read ({error.strerror})") from None
    if b"-----BEGIN " not in content:
        raise ConfigError(f"{setting}: {path} is not PEM")
    return content
