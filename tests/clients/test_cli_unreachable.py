"""Errors of the command line about an address at which it cannot speak gRPC: they name the cause."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest
from finlink_cli.unreachable import why

from tests.clients.command_line import Outcome
from tests.clients.scripted import Failure, Script, serving
from tests.clients.test_policy import self_signed

Run: TypeAlias = Callable[..., Outcome]
PROXIES = ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


class Refusing(BaseHTTPRequestHandler):
    """HTTP/1.1, and no proxy for anybody."""

    def do_CONNECT(self) -> None:
        self.send_error(403)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def said(outcome: Outcome) -> str:
    assert (outcome.code, outcome.out) == (7, "")
    return outcome.err


def test_a_web_server(finlink: Run, web: str) -> None:
    shown = said(finlink("users", "show", "asha", "--address", web))
    assert f"{web} does not speak gRPC; it may be the port of REST" in shown
    assert "50051" in shown


def test_a_proxy_in_between(
    finlink: Run, web: str, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://me:hush@{web}")
    shown = said(finlink("users", "show", "asha", "--address", script.address))
    assert f"the HTTP proxy on the way to {script.address} does not let it through" in shown
    assert "no_proxy=127.0.0.1" in shown
    assert "hush" not in shown
    monkeypatch.setenv("no_proxy", "localhost, 127.0.0.1")
    assert finlink("users", "show", "asha", "--address", script.address).code == 0


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:hush@127.0.0.1:1")
    message, hint = why("connect: refused", "finlink.example:50051", encrypted=True)
    assert message.endswith("or the proxy in https_proxy is at fault")
    assert hint.endswith("no_proxy=finlink.example")
    monkeypatch.setenv("no_proxy", ".example")
    direct = why("connect: refused", "finlink.example:50051", encrypted=True)
    assert "proxy" not in "".join(direct)


def test_tls(finlink: Run, tmp_path: Path, script: Script) -> None:
    assert f"{script.address} does not speak TLS. Use --plain" in said(
        finlink("users", "show", "asha", "--address", script.address, "--tls")
    )
    key, certificate = self_signed()
    file = tmp_path / "ca.pem"
    file.write_bytes(certificate)
    with serving(grpc.ssl_server_credentials([(key, certificate)])) as secure:
        show = ("users", "show", "asha", "--address", secure.address)
        assert "It may want --tls" in said(finlink(*show))
        assert "Name the one who issued it with --ca FILE" in said(finlink(*show, "--tls"))
        assert "is for another host" in said(finlink(*show, "--ca", str(file)))


def test_a_reply_of_a_web_proxy(finlink: Run, script: Script) -> None:
    script.replies["GetUser"].append(
        Failure(grpc.StatusCode.UNKNOWN, "Received http2 header with status: 502")
    )
    shown = said(finlink("users", "show", "asha", "--address", script.address))
    assert f"{script.address} does not speak gRPC" in shown


@pytest.mark.parametrize(
    "address",
    ["localhost", "localhost:99999", "localhost:0", "localhost:grpc", ":50051", "::1:50051", "a b:1", "http://a:1"],
)  # fmt: skip
def test_an_address_that_is_none(finlink: Run, address: str) -> None:
    outcome = finlink("status", "--address", address)
    assert outcome.code == 2
    assert "the address must be HOST:PORT" in outcome.err


def test_a_host_that_is_none(finlink: Run) -> None:
    shown = said(finlink("users", "show", "asha", "--address", "finlink.invalid:50051"))
    assert "there is no host finlink.invalid" in shown
