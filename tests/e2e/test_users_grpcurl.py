"""Finlink as command-line clients meet it, through reflection: grpcurl, and `buf curl`.

grpcurl is taken from PATH, or built where Go is there, which takes a minute; `make test` has `buf curl`.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import programs
from tests.contract.descriptors import services
from tests.stack import Stack

USERS = "finlink.users.v1.UserService"
SERVICES = [service.full_name for service in services()]


@dataclass(frozen=True)
class Client:
    """One of the two programs, speaking to one address."""

    program: Path
    address: str

    @property
    def is_grpcurl(self) -> bool:
        return self.program.name == "grpcurl"

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.program), *arguments], capture_output=True, text=True, check=False, timeout=60
        )

    def call(self, method: str, request: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        content = json.dumps(request)
        if self.is_grpcurl:
            return self._run(
                "-plaintext", "-format-error", "-emit-defaults", "-d", content, self.address, method
            )
        return self._run(
            "curl", "--http2-prior-knowledge", "--protocol", "grpc", "--emit-defaults",
            "-d", content, f"http://{self.address}/{method}",
        )  # fmt: skip

    def reply(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        done = self.call(method, request)
        assert done.returncode == 0, done.stderr
        reply: dict[str, Any] = json.loads(done.stdout)
        return reply

    def services(self) -> set[str]:
        done = (
            self._run("-plaintext", self.address, "list")
            if self.is_grpcurl
            else self._run(
                "curl",
                "--http2-prior-knowledge",
                "--protocol",
                "grpc",
                "--list-services",
                f"http://{self.address}",
            )
        )
        assert done.returncode == 0, done.stderr
        return set(done.stdout.split())

    def methods(self, service: str) -> set[str]:
        done = (
            self._run("-plaintext", self.address, "list", service)
            if self.is_grpcurl
            else self._run(
                "curl",
                "--http2-prior-knowledge",
                "--protocol",
                "grpc",
                "--list-methods",
                f"http://{self.address}",
            )
        )
        assert done.returncode == 0, done.stderr
        names = {name.replace("/", ".") for name in done.stdout.split()}
        return {name for name in names if name.startswith(f"{service}.")}

    def describe(self, symbol: str) -> str:
        done = self._run("-plaintext", self.address, "describe", symbol)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def grpcurl(pytestconfig: pytest.Config) -> Path | None:
    return programs.grpcurl(pytestconfig)


@pytest.fixture(params=[pytest.param("grpcurl", marks=pytest.mark.full_only), "buf"])
def client(request: pytest.FixtureRequest, grpcurl: Path | None, stack: Stack) -> Client:
    if request.param == "buf":
        return Client(Path(sys.executable).parent / "buf", stack.grpc)
    if grpcurl is None:
        pytest.skip("no grpcurl on PATH, and no Go that can build one; buf curl is tested")
    return Client(grpcurl, stack.grpc)


def test_services_are_listed(client: Client) -> None:
    assert client.services() >= {*SERVICES, "grpc.health.v1.Health"}


@pytest.mark.parametrize("service", SERVICES)
def test_methods_are_listed(client: Client, service: str) -> None:
    (descriptor,) = (found for found in services() if found.full_name == service)
    assert client.methods(service) == {f"{service}.{method.name}" for method in descriptor.methods}


@pytest.mark.full_only
@pytest.mark.parametrize("client", ["grpcurl"], indirect=True)
def test_a_service_and_its_messages_are_described(client: Client) -> None:
    described = client.describe(USERS)
    assert "rpc CreateUser ( .finlink.users.v1.CreateUserRequest )" in described
    assert 'post: "/api/v1/users"' in described
    message = client.describe("finlink.users.v1.CreateUserRequest")
    assert "string user_id = 1" in message
    assert "^[A-Za-z0-9_]{1,64}$" in message


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_health(client: Client, service: str) -> None:
    reply = client.reply("grpc.health.v1.Health/Check", {"service": service})
    assert reply == {"status": "SERVING"}


def test_health_of_a_service_that_is_not_there(client: Client) -> None:
    done = client.call("grpc.health.v1.Health/Check", {"service": "finlink.loans.v1.LoanService"})
    assert done.returncode != 0
    assert '"code": 5' in done.stderr or '"code": "not_found"' in done.stderr  # each its own way


def test_calls(client: Client, new_id: str) -> None:
    request = {"userId": new_id, "email": f"{new_id}@example.com", "firstName": "John"}
    created = client.reply(f"{USERS}/CreateUser", request)
    assert created["message"] == "User created successfully"
    # Python's reflection carries no JSON names, so grpcurl prints the names of the contract.
    assert created["data"]["profile"] in ({"firstName": "John"}, {"first_name": "John"})
    got = client.reply(f"{USERS}/GetUser", {"userId": new_id})
    assert got["data"] == created["data"]


def explained(error: str) -> str:
    """An error with its details readable: buf prints those it has no descriptor of in base64."""
    details = json.loads(error)["details"]
    encoded = [detail["value"] for detail in details if isinstance(detail.get("value"), str)]
    raw = (base64.b64decode(value + "=" * (-len(value) % 4)) for value in encoded)
    return error + "".join(value.decode(errors="replace") for value in raw)


def test_errors_say_why(client: Client) -> None:
    done = client.call(f"{USERS}/CreateUser", {"userId": "a b", "email": "nobody"})
    assert done.returncode != 0
    said = explained(done.stderr)
    assert "VALIDATION_ERROR" in said
    assert "must be 1 to 64 letters, digits or underscores" in said
    missing = client.call(f"{USERS}/GetUser", {"userId": "nobody_at_all"})
    assert missing.returncode != 0
    assert "User not found" in missing.stderr
