"""`python -m server health`: the check that a container engine makes inside a server's container."""

from typing import Any

import grpc
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.config import ConfigError, Settings
from server.setting_types import host_and_port

TIMEOUT_SECONDS = 3.0


def health(settings: Settings, address: str) -> str | None:
    """Why the server at HOST:PORT is not SERVING; None if it is. Raises ConfigError."""
    try:
        host_and_port(address)
    except ValueError:
        return f"the address must be HOST:PORT, not {address}"
    with _channel(settings, address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            reply = stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            return f"{address} does not reply ({error.code().name})"
    if reply.status != health_pb2.HealthCheckResponse.SERVING:
        return f"{address} is {health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)}"
    return None


def _channel(settings: Settings, address: str) -> grpc.Channel:
    """With the server's certificate, which is signed by the same CA as Envoy's."""
    cert, key, ca = settings.server_tls_cert, settings.server_tls_key, settings.server_tls_ca
    if cert is None or key is None or ca is None:
        return grpc.insecure_channel(address)
    try:
        chain = cert.read_bytes()
        credentials = grpc.ssl_channel_credentials(ca.read_bytes(), key.read_bytes(), chain)
        # The server is reached as localhost, which the certificate need not name.
        extensions = x509.load_pem_x509_certificate(chain).extensions
        named = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = named.get_values_for_type(x509.DNSName)
    except OSError as error:
        raise ConfigError(
            f"SERVER_TLS_*: {error.filename} cannot be read ({error.strerror})"
        ) from None
    except (ValueError, x509.ExtensionNotFound):
        raise ConfigError(
            f"SERVER_TLS_CERT: {cert} must be a certificate in PEM that names its server"
        ) from None
    options = [("grpc.ssl_target_name_override", name) for name in names[:1]]
    return grpc.secure_channel(address, credentials, options=options)
