"""Certificates for tests: an authority, and what it signs."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server.edge.tls import Certificate

PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Authority:
    """Signs certificates into a folder."""

    folder: Path
    name: x509.Name
    key: ec.EllipticCurvePrivateKey

    @property
    def file(self) -> Path:
        return self.folder / f"{_common(self.name)}.crt"

    def issue(self, common_name: str, *, ends: timedelta = timedelta(days=1)) -> Certificate:
        """A certificate for localhost and a SPIFFE name of `common_name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName(
            [
                x509.DNSName("localhost"),
                x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                x509.UniformResourceIdentifier(f"spiffe://example/{common_name}"),
            ]
        )
        signed = _builder(_named(common_name), self.name, key, ends).add_extension(names, False)
        certificate = signed.sign(self.key, hashes.SHA256())
        made = Certificate(self.folder / f"{common_name}.pem", self.folder / f"{common_name}.key")
        _write(made, certificate, key)
        return made


def authority(folder: Path, common_name: str) -> Authority:
    folder.mkdir(parents=True, exist_ok=True)
    key, name = ec.generate_private_key(ec.SECP256R1()), _named(common_name)
    basic = x509.BasicConstraints(ca=True, path_length=0)
    builder = _builder(name, name, key, timedelta(days=1)).add_extension(basic, True)
    made = Authority(folder, name, key)
    made.file.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(PEM))
    return made


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, ends: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + ends)
    )


def _write(made: Certificate, content: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    made.chain.write_bytes(content.public_bytes(PEM))
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    made.key.write_bytes(key.private_bytes(PEM, pkcs8, plain))


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _common(name: x509.Name) -> str:
    return str(name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
