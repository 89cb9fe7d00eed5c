"""REST over HTTPS, what plain HTTP then does, and client certificates on the gRPC port."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import httpx
import pytest

from server.edge.certificates import development_certificate
from server.edge.limits import Limits
from server.edge.tls import Certificate, Tls
from tests.e2e.strictness_calls import raw
from tests.edge.edge_stack import HOUR_MS, EdgeStack, edge_stack, untyped
from tests.edge.pki import Authority, authority
from tests.edge.test_headers import SECURITY

USER = "/api/v1/users/someone"
METHOD = "/finlink.users.v1.UserService/GetUser"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("pki"), "stubs")


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, certificates: Authority) -> Iterator[EdgeStack]:
    folder = tmp_path_factory.mktemp("edge")
    rest = development_certificate(folder / "tls")
    tls = Tls(
        "redirect", rest, hsts=True, grpc=certificates.issue("server"),
        grpc_client_ca=certificates.file,
    )  # fmt: skip
    with edge_stack(folder, tls=tls) as opened:
        yield opened


def trusting(edge: EdgeStack) -> ssl.SSLContext:
    """A client that trusts the development certificate."""
    return ssl.create_default_context(cafile=edge.log.parent / "tls" / "development.crt")


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_rest_over_https(edge: EdgeStack, host: str, http2: bool) -> None:
    with httpx.Client(verify=trusting(edge), http2=http2) as client:
        reply = client.get(f"https://{host}:{edge.tls_port}{USER}")
    assert reply.status_code == 200
    assert reply.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
    assert {name: reply.headers[name] for name in SECURITY} == SECURITY
    assert reply.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert edge.seen[-1].metadata["x-forwarded-proto"] == "https"


def test_the_limits_are_those_of_http_and_https_together(tmp_path: Path) -> None:
    tls = Tls("on", development_certificate(tmp_path / "tls"))
    with edge_stack(tmp_path, Limits(window_ms=HOUR_MS), tls) as edge:
        path = f"/api/v1/connectors/{'0' * 24}/sync"
        urls = [f"https://127.0.0.1:{edge.tls_port}{path}", edge.rest + path]
        with httpx.Client(verify=trusting(edge)) as client:
            found = [client.post(url).status_code for _ in range(4) for url in urls]
    assert found == [200] * 5 + [429] * 3


def hand_shaken(edge: EdgeStack, version: ssl.TLSVersion, ciphers: str = "") -> str:
    context = trusting(edge)
    context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    with (
        socket.create_connection(("127.0.0.1", edge.tls_port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        return str(connection.version())


def test_tls_1_3_alone(edge: EdgeStack, certificates: Authority) -> None:
    assert hand_shaken(edge, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    with pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"):
        hand_shaken(edge, ssl.TLSVersion.TLSv1_2)
    context = ssl.create_default_context(cafile=certificates.file)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", edge.grpc_port)) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


def test_plain_http_off_and_tls_1_2_allowed(tmp_path: Path) -> None:
    tls = Tls("off", development_certificate(tmp_path / "tls"), min_version="1.2")
    with edge_stack(tmp_path, tls=tls) as edge:
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{edge.rest}{USER}")
        with httpx.Client(verify=trusting(edge)) as client:
            reply = client.get(f"https://127.0.0.1:{edge.tls_port}{USER}")
        assert reply.status_code == 200
        assert "strict-transport-security" not in reply.headers, "localhost is not only ours"
        assert hand_shaken(edge, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        assert hand_shaken(edge, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        with pytest.raises(ssl.SSLError), pytest.warns(DeprecationWarning, match="TLSv1_1"):
            hand_shaken(edge, ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError):
            hand_shaken(edge, ssl.TLSVersion.TLSv1_2, "AES128-SHA:@SECLEVEL=0")


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_plain_http_redirects_and_does_nothing_else(edge: EdgeStack, verb: str) -> None:
    calls = len(edge.seen)
    reply = httpx.request(verb, f"http://localhost:{edge.rest_port}{USER}?a=b", json={"a": 1})
    assert reply.status_code == 308
    assert reply.headers["location"] == f"https://localhost:{edge.tls_port}{USER}?a=b"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert len(edge.seen) == calls


def test_plain_http_redirects_http_1_0_that_names_a_host(edge: EdgeStack) -> None:
    line = f"GET {USER} HTTP/1.0".encode()
    plain = f"http://localhost:{edge.rest_port}"
    reply = raw(plain, line, host=f"localhost:{edge.rest_port}".encode())
    assert (reply.status, reply.headers["location"]) == (
        308,
        f"https://localhost:{edge.tls_port}{USER}",
    )
    assert raw(plain, line, host=None).status == 400, "there is nowhere to send it"


# --- client certificates ----------------------------------------------------------------------


async def called(edge: EdgeStack, ca: bytes, client: tuple[bytes, bytes] | None) -> dict[str, str]:
    """The metadata that reaches the server of a call by a stub with this key and certificate."""
    credentials = grpc.ssl_channel_credentials(ca, *(client or (None, None)))
    lie = (("x-forwarded-client-cert", 'Subject="CN=admin"'),)
    target = f"localhost:{edge.grpc_port}"
    async with grpc.aio.secure_channel(target, credentials) as channel:
        await untyped(channel, METHOD)(b"", metadata=lie, timeout=10)
    return edge.seen[-1].metadata


def key_and_chain(certificate: Certificate) -> tuple[bytes, bytes]:
    return certificate.key.read_bytes(), certificate.chain.read_bytes()


@pytest.fixture(scope="module")
def ca(certificates: Authority) -> bytes:
    return certificates.file.read_bytes()


async def test_a_stub_with_a_certificate_is_known(
    edge: EdgeStack, certificates: Authority, ca: bytes
) -> None:
    got = await called(edge, ca, key_and_chain(certificates.issue("payments")))
    said = got["x-forwarded-client-cert"]
    assert 'Subject="CN=payments"' in said
    assert "URI=spiffe://example/payments" in said
    assert "admin" not in said


def test_over_rest_nobody_is_anybody(edge: EdgeStack) -> None:
    headers = {"x-forwarded-client-cert": 'Subject="CN=admin"'}
    with httpx.Client(verify=trusting(edge), headers=headers) as client:
        client.get(f"https://127.0.0.1:{edge.tls_port}{USER}")
    assert "x-forwarded-client-cert" not in edge.seen[-1].metadata


@pytest.mark.parametrize("kind", ["missing", "expired", "of another authority", "none at all"])
async def test_other_stubs_are_refused(
    edge: EdgeStack, certificates: Authority, ca: bytes, tmp_path: Path, kind: str
) -> None:
    calls = len(edge.seen)
    client = None
    if kind == "expired":
        client = key_and_chain(certificates.issue("late", ends=-timedelta(days=1)))
    elif kind == "of another authority":
        client = key_and_chain(authority(tmp_path, "stubs").issue("payments"))
    if kind == "none at all":
        async with grpc.aio.insecure_channel(f"localhost:{edge.grpc_port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await untyped(channel, METHOD)(b"", timeout=10)
    else:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await called(edge, ca, client)
    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
    assert len(edge.seen) == calls
