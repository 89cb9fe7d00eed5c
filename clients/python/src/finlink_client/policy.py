"""How calls are made: what the contract says of each RPC, as deadlines, retries and settings."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from importlib import metadata

from finlink.audit.v1 import audit_service_pb2
from finlink.connectors.v1 import connector_service_pb2
from finlink.errors.v1 import error_reason_pb2
from finlink.rules.v1 import rules_pb2
from finlink.users.v1 import user_service_pb2
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

DEADLINE = 10.0
PLATFORM_DEADLINE = 40.0
IDEMPOTENCY_KEY = "idempotency-key"
API_KEY = "x-api-key"

SERVICES: tuple[ServiceDescriptor, ...] = (
    user_service_pb2.DESCRIPTOR.services_by_name["UserService"],
    connector_service_pb2.DESCRIPTOR.services_by_name["ConnectorService"],
    audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"],
)
METHODS: Mapping[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for service in SERVICES
    for method in service.methods
}


def is_read(method: MethodDescriptor) -> bool:
    """Whether it changes nothing: repeating it is always safe."""
    return bool(method.GetOptions().Extensions[annotations_pb2.http].HasField("get"))


def is_stream(method: MethodDescriptor) -> bool:
    """Whether it answers with a stream, for as long as its caller listens."""
    return bool(method.server_streaming)


def waits_for_platform(method: MethodDescriptor) -> bool:
    """Whether a platform must answer before Finlink can."""
    errors = method.GetOptions().Extensions[rules_pb2.method].errors
    return error_reason_pb2.ERROR_REASON_PLATFORM_UNAVAILABLE in errors


def is_retried(method: MethodDescriptor) -> bool:
    """Reads, and changes but those that go to a platform: those their caller repeats in good time."""
    return is_read(method) or not waits_for_platform(method)


class Defaults:
    """What a call has where its caller does not say: seconds to take, and headers."""

    def __init__(self, usual: float, platform: float, api_key: str | None) -> None:
        self._usual = usual
        self._seconds = {
            path: platform for path, method in METHODS.items() if waits_for_platform(method)
        }
        self._every = [(API_KEY, api_key)] if api_key is not None else []

    def timeout(self, path: str | bytes) -> float:
        return self._seconds.get(_text(path), self._usual)

    def headers(self, path: str | bytes) -> list[tuple[str, str]]:
        """The API key, and for a change a new idempotency key: tried again, it has one effect."""
        method = METHODS.get(_text(path))
        if method is None or is_read(method):
            return self._every
        return [*self._every, (IDEMPOTENCY_KEY, str(uuid.uuid4()))]

    def headers_of_stream(self) -> tuple[tuple[str, str], ...]:
        """The API key."""
        return tuple(self._every)


def _text(path: str | bytes) -> str:
    return path.decode() if isinstance(path, bytes) else path


def _service_config() -> str:
    """Calls are tried up to four times while Finlink is unavailable, for under two seconds.

    After some fifty failures, not made up for by ten successes each, the channel stops trying again:
    a server in trouble does not get four times the calls.
    """
    retried = [
        {"service": method.containing_service.full_name, "method": method.name}
        for method in METHODS.values()
        if is_retried(method) and not is_stream(method)  # those begin anew in their own ways
    ]
    retry = {
        "maxAttempts": 4,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 3,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps(
        {
            "methodConfig": [{"name": retried, "retryPolicy": retry}],
            "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
        }
    )


def channel_options() -> list[tuple[str, str | int]]:
    """Settings of the channel."""
    return [
        ("grpc.primary_user_agent", f"finlink-client/{metadata.version('finlink-client')}"),
        ("grpc.service_config", _service_config()),
        # A connection that died silently is noticed within 40 seconds, also while nothing is sent.
        # The server allows a ping every 10 seconds.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # After a restart of the server, calls go through again within seconds.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
    ]
