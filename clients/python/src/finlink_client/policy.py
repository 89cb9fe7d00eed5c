"""How calls are made: what the contract says of each RPC, as deadlines, retries and settings."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from importlib import metadata

from finlink.errors.v1 import error_reason_pb2
from finlink.rules.v1 import client_pb2, rules_pb2
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.duration_pb2 import Duration

from finlink_client.gen.services import SERVICES


def seconds(duration: Duration) -> float:
    return duration.ToTimedelta().total_seconds()


# The contract's options for clients; the packages of other languages read the same.
RULES: client_pb2.ClientRules = client_pb2.DESCRIPTOR.GetOptions().Extensions[client_pb2.client]

DEADLINE = seconds(RULES.timeout)
PLATFORM_DEADLINE = seconds(RULES.platform_timeout)
IDEMPOTENCY_KEY = "idempotency-key"
API_KEY = "x-api-key"
AUTHORIZATION = "authorization"

_LOCAL = "localhost:50051"

METHODS: Mapping[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for service in SERVICES
    for method in service.methods
}


def address(given: str | None) -> str:
    """Where Finlink is: as given, else FINLINK_ADDRESS, else this machine."""
    return given or os.environ.get("FINLINK_ADDRESS") or _LOCAL


def is_read(method: MethodDescriptor) -> bool:
    """Whether it changes nothing: repeating it is always safe."""
    return bool(method.GetOptions().Extensions[annotations_pb2.http].HasField("get"))


def is_stream(method: MethodDescriptor) -> bool:
    """Whether it returns a stream, for as long as its caller listens."""
    return bool(method.server_streaming)


def waits_for_platform(method: MethodDescriptor) -> bool:
    """Whether a platform must reply before Finlink can."""
    errors = method.GetOptions().Extensions[rules_pb2.method].errors
    return error_reason_pb2.ERROR_REASON_PLATFORM_UNAVAILABLE in errors


def is_public(method: MethodDescriptor) -> bool:
    """Whether it needs no credential, as signing in: no token is fetched for it."""
    access = method.GetOptions().Extensions[rules_pb2.method].users
    return bool(access.reach == rules_pb2.REACH_PUBLIC)


def is_retried(method: MethodDescriptor) -> bool:
    """Reads, and changes but those that go to a platform: those their caller repeats in good time."""
    return is_read(method) or not waits_for_platform(method)


def credentials(api_key: str | None, access_token: str | None) -> list[tuple[str, str]]:
    """The headers of a caller: of a service, of a user who has signed in, or of both."""
    sent = [] if api_key is None else [(API_KEY, api_key)]
    return sent if access_token is None else [*sent, bearer(access_token)]


def bearer(access_token: str) -> tuple[str, str]:
    """The header of a user who has signed in."""
    return AUTHORIZATION, f"Bearer {access_token}"


class Defaults:
    """The defaults of a call: its time-out in seconds, and headers."""

    def __init__(
        self, usual: float, platform: float, api_key: str | None, access_token: str | None = None
    ) -> None:
        self._usual = usual
        self._seconds = {
            path: platform for path, method in METHODS.items() if waits_for_platform(method)
        }
        self._every = credentials(api_key, access_token)

    def timeout(self, path: str | bytes) -> float:
        return self._seconds.get(_text(path), self._usual)

    def headers(self, path: str | bytes) -> list[tuple[str, str]]:
        """The credentials, and for a change a new idempotency key: tried again, it has one effect."""
        method = METHODS.get(_text(path))
        if method is None or is_read(method):
            return self._every
        return [*self._every, (IDEMPOTENCY_KEY, str(uuid.uuid4()))]

    def credentials(self) -> list[tuple[str, str]]:
        """The headers of who calls."""
        return self._every


def needs_token(path: str | bytes) -> bool:
    """Whether a call must show who is signed in."""
    method = METHODS.get(_text(path))
    return method is not None and not is_public(method)


def _text(path: str | bytes) -> str:
    return path.decode() if isinstance(path, bytes) else path


def _service_config() -> str:
    """Calls are tried again while Finlink is unavailable, for under two seconds.

    After many failures that are not made up for by successes, the channel stops trying again: a server in
    trouble does not get several times the calls.
    """
    retried = [
        {"service": method.containing_service.full_name, "method": method.name}
        for method in METHODS.values()
        if is_retried(method) and not is_stream(method)  # those begin again in their own ways
    ]
    rules = RULES.retry
    retry = {
        "maxAttempts": rules.attempts,
        "initialBackoff": f"{seconds(rules.pauses.first)}s",
        "maxBackoff": f"{seconds(rules.pauses.longest)}s",
        "backoffMultiplier": rules.pauses.factor,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    throttling = {"maxTokens": rules.tokens, "tokenRatio": rules.tokens_per_success}
    return json.dumps(
        {
            "methodConfig": [{"name": retried, "retryPolicy": retry}],
            "retryThrottling": throttling,
        }
    )


def channel_options() -> list[tuple[str, str | int]]:
    """Settings of the channel."""
    return [
        ("grpc.primary_user_agent", f"finlink-client/{metadata.version('finlink-client')}"),
        ("grpc.service_config", _service_config()),
        # A connection that died silently is noticed within 40 seconds, also while nothing is sent.
        ("grpc.keepalive_time_ms", _milliseconds(RULES.ping_interval)),
        ("grpc.keepalive_timeout_ms", _milliseconds(RULES.ping_timeout)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # After a restart of the server, calls go through again within seconds.
        ("grpc.initial_reconnect_backoff_ms", _milliseconds(RULES.reconnect_pauses.first)),
        ("grpc.max_reconnect_backoff_ms", _milliseconds(RULES.reconnect_pauses.longest)),
    ]


def _milliseconds(duration: Duration) -> int:
    return duration.ToMilliseconds()
