"""Certificates for Envoy: those that are given, looked at, and one made for development."""

import ipaddress
import os
import socket
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from server.config import Settings
from server.edge.errors import StartError
from server.edge.settings import EdgeSettings
from server.edge.tls import Certificate, Tls

VALID_FOR = timedelta(days=365)
RENEWED_BEFORE_END = timedelta(days=30)
CLOCK_SLACK = timedelta(hours=1)  # by which a client's clock may be behind


def tls_of(settings: Settings, data_dir: Path) -> Tls:
    """The TLS settings of this run.

    Raises StartError, one line, for files that cannot be used, and in production without any.
    """
    edge = settings.of(EdgeSettings)
    rest = _given("TLS", edge.tls_cert, edge.tls_key)
    if rest is not None and settings.production and edge.http == "on":
        # Each port has rate limits of its own, so two would let callers through twice.
        raise StartError(
            "PLAIN_HTTP=on in production is for a proxy in front that speaks TLS; "
            "unset it, or TLS_CERT and TLS_KEY."
        )
    if rest is None and settings.production and edge.http != "on":
        raise StartError(
            "Production speaks HTTPS: set TLS_CERT and TLS_KEY, or PLAIN_HTTP=on where a proxy in "
            "front of it speaks TLS."
        )
    if rest is None and not settings.production:
        rest = development_certificate(data_dir / "tls")
    return Tls(
        http=edge.http,
        rest=rest,
        rest_port=edge.tls_port,
        min_version=edge.tls_min_version,
        # With the development certificate it would take http://localhost, any port, from browsers.
        hsts=edge.tls_cert is not None,
        grpc=_given("GRPC_TLS", edge.grpc_tls_cert, edge.grpc_tls_key),
        grpc_client_ca=_given_ca("GRPC_TLS_CLIENT_CA", edge.grpc_tls_client_ca),
        server=_given("SERVER_TLS", settings.server_tls_cert, settings.server_tls_key),
        server_ca=_given_ca("SERVER_TLS_CA", settings.server_tls_ca),
    )


def _given(prefix: str, chain: Path | None, key: Path | None) -> Certificate | None:
    if chain is None or key is None:
        return None
    given = Certificate(chain.absolute(), key.absolute())
    _check(given, f"{prefix}_CERT", f"{prefix}_KEY")
    return given


def _given_ca(setting: str, path: Path | None) -> Path | None:
    if path is None:
        return None
    _certificates(path.absolute(), setting)
    return path.absolute()


def development_certificate(folder: Path) -> Certificate:
    """The folder's certificate for this machine's names, made where missing or near its end."""
    made = Certificate(folder / "development.crt", folder / "development.key")
    if not _still_good(made):
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            _make(made)
        except OSError as error:
            raise StartError(
                f"No certificate can be written to {folder} ({error.strerror})."
            ) from None
    return made


def _still_good(made: Certificate) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(made.chain.read_bytes())
        key = serialization.load_pem_private_key(made.key.read_bytes(), None)
    except (OSError, ValueError):
        return False
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    return left > RENEWED_BEFORE_END and certificate.public_key() == key.public_key()


def _make(target: Certificate) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Finlink development")])
    hosts = dict.fromkeys(["localhost", socket.gethostname()])
    addresses = [ipaddress.ip_address(text) for text in ("127.0.0.1", "::1")]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + VALID_FOR)
        .add_extension(
            x509.SubjectAlternativeName(
                [*map(x509.DNSName, hosts), *map(x509.IPAddress, addresses)]
            ),
            critical=False,
        )
        # It signs nothing else, so that trusting it in a client trusts only this server.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    _write(target.key, key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    _write(target.chain, certificate.public_bytes(pem))


def _write(path: Path, content: bytes) -> None:
    """Complete or not at all, and for the user alone."""
    file, scratch = tempfile.mkstemp(dir=path.parent)  # mode 0600
    with os.fdopen(file, "wb") as stream:
        stream.write(content)
    Path(scratch).replace(path)


def _check(given: Certificate, chain_setting: str, key_setting: str) -> None:
    certificate = _certificates(given.chain, chain_setting)[0]
    try:
        key = serialization.load_pem_private_key(_read(given.key, key_setting), None)
    except (ValueError, TypeError):
        raise StartError(
            f"{key_setting}={given.key} is not a private key in PEM without a password."
        ) from None
    if certificate.public_key() != key.public_key():
        raise StartError(f"{key_setting}={given.key} is not the key of {chain_setting}.")


def _certificates(path: Path, setting: str) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(_read(path, setting))
    except ValueError:
        raise StartError(f"{setting}={path} is not a certificate in PEM.") from None
    if found[0].not_valid_after_utc < datetime.now(UTC):
        raise StartError(
            f"{setting}={path} expired on {found[0].not_valid_after_utc:%Y-%m-%d}; renew it."
        )
    return found


def _read(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartError(f"{setting}={path} cannot be read ({error.strerror}).") from None
