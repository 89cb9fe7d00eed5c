from __future__ import annotations

import hashlib
import socket
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from server.config import ConfigError, Settings
from server.edge import certificates
from server.edge.certificates import development_certificate, tls_of
from server.edge.errors import StartError
from server.edge.tls import Certificate
from server.settings import load
from tests.edge.pki import Authority, authority

KEY = hashlib.sha256(b"a strong one").hexdigest()


def settings(**given: object) -> Settings:
    return load(_env_file=None, **given)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("pki"), "ca")


def test_development_makes_a_certificate_once(tmp_path: Path) -> None:
    tls = tls_of(settings(), tmp_path)
    made = tls.rest
    assert made is not None
    assert not tls.hsts
    certificate = x509.load_pem_x509_certificate(made.chain.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", socket.gethostname()} == set(names.get_values_for_type(x509.DNSName))
    assert {str(a) for a in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "::1"}
    assert certificate.not_valid_after_utc - datetime.now(UTC) > timedelta(days=364)
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    before = made.chain.read_bytes()
    assert development_certificate(tmp_path / "tls") == made
    assert made.chain.read_bytes() == before


@pytest.mark.parametrize("fault", ["ends soon", "no key", "another key", "cut short"])
def test_it_is_made_again_if_it_is_no_good(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        if fault == "ends soon":
            patched.setattr(certificates, "VALID_FOR", timedelta(days=20))
        made = development_certificate(tmp_path / "tls")
    before = made.chain.read_bytes()
    if fault == "no key":
        made.key.unlink()
    elif fault == "another key":
        made.key.write_bytes(development_certificate(tmp_path / "other").key.read_bytes())
    elif fault == "cut short":
        made.chain.write_bytes(before[:100])
    assert development_certificate(tmp_path / "tls") == made
    assert made.chain.read_bytes() not in {before, before[:100]}


def given(rest: Certificate, **more: object) -> Settings:
    return settings(tls_cert=rest.chain, tls_key=rest.key, **more)


def test_a_certificate_that_is_given_is_used(tmp_path: Path, pki: Authority) -> None:
    mine = pki.issue("mine")
    tls = tls_of(given(mine, tls_port=443, plain_http="off"), tmp_path)
    assert (tls.rest, tls.rest_port, tls.http, tls.hsts) == (mine, 443, "off", True)
    assert not (tmp_path / "tls").exists()


def test_files_that_cannot_be_used_are_one_line(tmp_path: Path, pki: Authority) -> None:
    good, late = pki.issue("good"), pki.issue("late", ends=-timedelta(days=1))
    nothing, text = tmp_path / "nothing", tmp_path / "text"
    text.write_text("no PEM")
    for chain, key, message in (
        (
            nothing,
            good.key,
            rf"^TLS_CERT={nothing} cannot be read \(No such file or directory\)\.$",
        ),
        (good.chain, nothing, rf"^TLS_KEY={nothing} cannot be read"),
        (tmp_path, good.key, "^TLS_CERT=.* cannot be read"),
        (text, good.key, "^TLS_CERT=.* is not a certificate in PEM"),
        (good.chain, text, "^TLS_KEY=.* is not a private key in PEM"),
        (good.chain, late.key, "^TLS_KEY=.* is not the key of TLS_CERT"),
        (late.chain, late.key, r"^TLS_CERT=.* expired on \d{4}-\d\d-\d\d"),
    ):
        with pytest.raises(StartError, match=message) as raised:
            tls_of(given(Certificate(chain, key)), tmp_path)
        assert "\n" not in str(raised.value)
    grpc = {"grpc_tls_cert": good.chain, "grpc_tls_key": good.key}
    with pytest.raises(StartError, match=r"^GRPC_TLS_CLIENT_CA=.* is not a certificate"):
        tls_of(settings(**grpc, grpc_tls_client_ca=text), tmp_path)
    tls = tls_of(settings(**grpc, grpc_tls_client_ca=pki.file), tmp_path)
    assert (tls.grpc, tls.grpc_client_ca) == (good, pki.file)


def test_half_of_a_pair_is_refused(pki: Authority) -> None:
    with pytest.raises(ConfigError, match="TLS_CERT, TLS_KEY must be set together"):
        settings(tls_cert=pki.file)
    with pytest.raises(ConfigError, match=r"GRPC_TLS_CERT, .* must be set together"):
        settings(grpc_tls_cert=pki.file, grpc_tls_key=pki.file)


def test_production_speaks_https_or_stands_behind_a_proxy(tmp_path: Path, pki: Authority) -> None:
    production = {
        "app_env": "production",
        "encryption_key": KEY,
        "public_url": "https://finlink.example",
        "email_verification": "optional",
    }
    with pytest.raises(StartError, match="set TLS_CERT and TLS_KEY, or PLAIN_HTTP=on"):
        tls_of(settings(**production), tmp_path)
    mine = pki.issue("mine")
    assert tls_of(given(mine, **production), tmp_path).http == "redirect"
    behind = tls_of(settings(**production, plain_http="on"), tmp_path)
    assert (behind.http, behind.rest) == ("on", None)
    with pytest.raises(StartError, match="for a proxy in front"):
        tls_of(given(mine, **production, plain_http="on"), tmp_path)
