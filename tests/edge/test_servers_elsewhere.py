"""Envoy and servers on different hosts: `server edge` before `server serve`, with TLS between them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx
import pytest
from finlink.users.v1 import user_lists_pb2
from finlink.users.v1.user_service_pb2_grpc import UserServiceStub

from tests.e2e.strictness_calls import raw
from tests.edge.pki import Authority, authority
from tests.stack import ROOT, Stack, free_ports
from tests.supervisor.harness import DEADLINE, patiently


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("pki"), "inside")


def tls(pki: Authority, name: str) -> dict[str, str]:
    mine = pki.issue(name)
    return {
        "SERVER_TLS_CERT": str(mine.chain),
        "SERVER_TLS_KEY": str(mine.key),
        "SERVER_TLS_CA": str(pki.file),
    }


@contextmanager
def process(output: Path, settings: Mapping[str, str], *arguments: str) -> Iterator[None]:
    with output.open("wb") as out:
        started = subprocess.Popen(
            [sys.executable, "-m", "server", *arguments],
            cwd=ROOT, env={**os.environ, **settings}, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        yield
    finally:
        started.terminate()
        assert started.wait(DEADLINE) == 0, output.read_text()


def edge_settings(folder: Path) -> dict[str, str]:
    names = ("PORT", "TLS_PORT", "GRPC_PORT", "ADMIN_PORT")
    ports = {name: str(port) for name, port in zip(names, free_ports(4), strict=True)}
    more = {"DATA_DIR": str(folder / "edge"), "RATE_LIMITS": "off"}
    return {**ports, **more, "METRICS_PORT": str(free_ports(1)[0])}


@pytest.mark.full_only
def test_tls_between_envoy_and_a_server(stack: Stack, tmp_path: Path, pki: Authority) -> None:
    (port,) = free_ports(1)
    key = (stack.data_dir / "encryption.key").read_text().strip()
    server = {"MONGODB_URI": stack.mongodb_uri, "ENCRYPTION_KEY": key, **tls(pki, "server")}
    good, bad = edge_settings(tmp_path / "good"), edge_settings(tmp_path / "bad")
    strangers = tls(authority(tmp_path / "pki", "inside"), "envoy")
    target, listen = f"localhost:{port}", f"127.0.0.1:{port}"
    log = tmp_path / "log"
    with (
        process(log, server, "serve", "--no-syncs", "--listen", listen),
        process(tmp_path / "good.log", {**good, **tls(pki, "envoy")}, "edge", target),
        process(tmp_path / "bad.log", {**bad, **strangers}, "edge", target),
    ):

        def status(settings: Mapping[str, str]) -> int:
            try:
                return httpx.get(f"http://127.0.0.1:{settings['PORT']}/api/v1/users").status_code
            except httpx.TransportError:
                return 0

        patiently(lambda: status(good) == 200, log)
        patiently(lambda: status(bad) == 503, tmp_path / "bad.log")
        # Without a certificate the server speaks to nobody.
        with grpc.insecure_channel(target) as channel, pytest.raises(grpc.RpcError):
            UserServiceStub(channel).ListUsers(user_lists_pb2.ListUsersRequest(), timeout=5)
        with (
            grpc.secure_channel(
                target, grpc.ssl_channel_credentials(pki.file.read_bytes())
            ) as channel,
            pytest.raises(grpc.RpcError),
        ):
            UserServiceStub(channel).ListUsers(user_lists_pb2.ListUsersRequest(), timeout=5)
        assert status(good) == 200

        # What container engines and Prometheus ask.
        ask = [sys.executable, "-m", "server", "health", listen]
        assert (
            subprocess.run(ask, cwd=ROOT, env={**os.environ, **server}, check=False).returncode == 0
        )
        reported = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, check=False)
        assert reported.returncode == 1  # without a certificate
        assert reported.stderr == f"finlink: {listen} does not reply (UNAVAILABLE)\n"
        page = f"http://127.0.0.1:{good['METRICS_PORT']}"
        healthy = 'envoy_cluster_membership_healthy{envoy_cluster_name="finlink"} 1'
        assert healthy in httpx.get(f"{page}/metrics").text.splitlines()
        assert raw(page, b"GET /metrics HTTP/1.0", host=None).status == 200
        assert httpx.post(f"{page}/metrics").status_code == 404
        assert httpx.get(f"{page}/quitquitquit").status_code == 404


@pytest.mark.parametrize(
    ("settings", "arguments", "said"),
    [
        ({}, ["nonsense"], "finlink: nonsense is not HOST:PORT."),
        ({"APP_ENV": "production"}, ["a:1"], "finlink: Production speaks HTTPS"),
        ({"TLS_CERT": "/nowhere", "TLS_KEY": "/nowhere"}, ["a:1"],
         "finlink: TLS_CERT=/nowhere cannot be read"),
    ],
)  # fmt: skip
def test_what_cannot_start_says_why_in_a_line(
    tmp_path: Path, settings: dict[str, str], arguments: list[str], said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "server", "edge", *arguments], cwd=ROOT, timeout=DEADLINE,
        env={**os.environ, **edge_settings(tmp_path), **settings}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1
