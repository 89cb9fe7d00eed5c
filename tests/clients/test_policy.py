"""Deadlines, retries and settings: what the client does of its own accord."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from finlink.connectors.v1.session_pb2 import RefreshSessionRequest
from finlink.users.v1.user_creation_pb2 import DeleteUserRequest
from finlink.users.v1.user_service_pb2 import GetUserRequest
from finlink_client import DeadlineExceeded, Unavailable, policy
from finlink_client.gen.services import SERVICES as STUBS
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from server.domains.registry import CONTRACT
from tests.clients.flavours import SERVICES, Client, Flavour
from tests.clients.scripted import HANG, Failure, Script, serving

METHODS = [method for method in policy.METHODS.values() if not policy.is_stream(method)]
AT_ONCE = 40
DOWN = Failure(grpc.StatusCode.UNAVAILABLE, "no healthy upstream")


def empty_request(method: MethodDescriptor) -> Message:
    return GetMessageClass(method.input_type)()


async def test_every_service_of_the_contract_has_its_stub(scripted: Client) -> None:
    contract = {each.full_name for file in CONTRACT for each in file.services_by_name.values()}
    assert {service.full_name for service in STUBS} == contract == set(SERVICES)
    for method in METHODS:
        stub = getattr(scripted.finlink, SERVICES[method.containing_service.full_name])
        assert callable(getattr(stub, method.name))


async def test_all_is_tried_again_but_what_goes_to_a_platform(
    script: Script, scripted: Client
) -> None:
    for begin in range(0, len(METHODS), AT_ONCE):
        await _all_are_tried_again(script, scripted, METHODS[begin : begin + AT_ONCE])
        # Successes give back what failures have cost: half of it spent, nothing is tried again.
        await asyncio.gather(
            *(scripted.call(GetUserRequest(user_id="asha")) for _ in range(10 * AT_ONCE))
        )


async def _all_are_tried_again(
    script: Script, scripted: Client, methods: Sequence[MethodDescriptor]
) -> None:
    before = {method.name: script.calls(method.name) for method in methods}
    for method in methods:
        script.replies[method.name].append(DOWN)
    outcomes = await asyncio.gather(
        *(scripted.call(empty_request(method)) for method in methods), return_exceptions=True
    )
    for method, outcome in zip(methods, outcomes, strict=True):
        again = method.name not in {"CreateConnector", "RefreshSession"}
        calls = script.calls(method.name) - before[method.name]
        assert calls == (2 if again else 1), method.name
        assert isinstance(outcome, Unavailable) != again, method.name


async def test_a_change_is_tried_again_with_the_same_key(script: Script, scripted: Client) -> None:
    script.replies["DeleteUser"].extend([DOWN, DOWN])
    for _ in range(2):
        await scripted.call(DeleteUserRequest(user_id="asha"))
    keys = [call.metadata["idempotency-key"] for call in script.received]
    assert len(keys) == 4
    assert len(set(keys[:3])) == 1
    assert keys[3] != keys[0]


async def test_a_read_has_no_key_and_a_callers_own_key_is_kept(
    script: Script, scripted: Client
) -> None:
    await scripted.call(GetUserRequest(user_id="asha"))
    await scripted.call(DeleteUserRequest(user_id="asha"), metadata=(("idempotency-key", "mine"),))
    read, change = script.received
    assert "idempotency-key" not in read.metadata
    assert change.metadata["idempotency-key"] == "mine"


async def test_a_read_survives_failing_twice(script: Script, scripted: Client) -> None:
    script.replies["GetUser"].extend([DOWN, DOWN])
    await scripted.call(GetUserRequest(user_id="asha"))
    assert script.calls("GetUser") == 3


async def test_a_read_is_given_up_after_four_attempts(script: Script, scripted: Client) -> None:
    script.replies["GetUser"].extend([DOWN] * 10)
    with pytest.raises(Unavailable):
        await scripted.call(GetUserRequest(user_id="asha"))
    assert script.calls("GetUser") == 4


async def test_other_failures_are_not_tried_again(script: Script, scripted: Client) -> None:
    script.replies["GetUser"].append(Failure(grpc.StatusCode.DEADLINE_EXCEEDED, "too slow"))
    with pytest.raises(DeadlineExceeded):
        await scripted.call(GetUserRequest(user_id="asha"))
    assert script.calls("GetUser") == 1


async def test_every_call_has_a_deadline(script: Script, scripted: Client) -> None:
    await asyncio.gather(*(scripted.call(empty_request(method)) for method in METHODS))
    assert len(script.received) == len(METHODS)
    for call in script.received:
        waits = call.method in {"CreateConnector", "RefreshSession"}
        assert round(call.seconds, -1) == (40 if waits else 10), call.method


async def test_an_api_key_goes_with_every_call(flavour: Flavour, script: Script) -> None:
    async with flavour.connect(script.address, api_key="finlink_k") as client:
        await client.call(GetUserRequest())
        await client.call(DeleteUserRequest())
    assert [call.metadata["x-api-key"] for call in script.received] == ["finlink_k"] * 2


async def test_deadlines_can_be_set_for_the_client_and_for_a_call(
    flavour: Flavour, script: Script
) -> None:
    usual, platform = GetUserRequest(), RefreshSessionRequest()
    async with flavour.connect(script.address, timeout=200, platform_timeout=300) as client:
        await client.call(usual)
        await client.call(platform)
        await client.call(usual, timeout=400)
        await client.call(platform, timeout=500)
    assert [round(call.seconds, -2) for call in script.received] == [200, 300, 400, 500]


async def test_a_late_reply_is_not_waited_for(script: Script, scripted: Client) -> None:
    script.replies["GetUser"].append(HANG)
    with pytest.raises(DeadlineExceeded) as caught:
        await scripted.call(GetUserRequest(user_id="asha"), timeout=0.05)
    assert caught.value.code == "DEADLINE_EXCEEDED"


async def test_the_server_learns_who_calls_and_what_the_caller_adds(
    script: Script, scripted: Client
) -> None:
    await scripted.call(GetUserRequest(), metadata=(("x-request-id", "abc"),))
    [call] = script.received
    assert call.metadata["user-agent"].startswith("finlink-client/0.")
    assert call.metadata["x-request-id"] == "abc"


def self_signed() -> tuple[bytes, bytes]:
    """A key and a certificate for localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate.public_bytes(encoding)


async def test_with_credentials_the_connection_is_encrypted(flavour: Flavour) -> None:
    key, certificate = self_signed()
    with serving(grpc.ssl_server_credentials([(key, certificate)])) as script:
        address = script.address.replace("127.0.0.1", "localhost")
        trust = grpc.ssl_channel_credentials(certificate)
        async with flavour.connect(address, credentials=trust) as client:
            await client.call(GetUserRequest())
        async with flavour.connect(address) as client:
            with pytest.raises(Unavailable):
                await client.call(DeleteUserRequest())
    assert [call.method for call in script.received] == ["GetUser"]
