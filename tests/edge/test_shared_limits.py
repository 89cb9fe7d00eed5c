"""Limits counted by one rate limit service for many Envoys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import pytest

from server.edge.limits import Limits
from tests.e2e.users_errors import failed
from tests.edge.edge_stack import edge_stack
from tests.stack import free_ports

OK, OVER_LIMIT = b"\x08\x01", b"\x08\x02"  # envoy.service.ratelimit.v3.RateLimitResponse
SYNC = f"/api/v1/connectors/{'0' * 24}/sync"


class Counting(grpc.GenericRpcHandler):
    """Five of each request that names the group of syncs; a stand-in for the service and its Redis."""

    def __init__(self) -> None:
        self.asked: Counter[bytes] = Counter()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        if details.method != "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit":
            return None
        return grpc.unary_unary_rpc_method_handler(self._reply)

    def _reply(self, request: bytes, _context: grpc.ServicerContext) -> bytes:
        self.asked[request] += 1
        return OVER_LIMIT if b"sync" in request and self.asked[request] > 5 else OK


@pytest.fixture
def service() -> Iterator[tuple[Counting, str]]:
    counting = Counting()
    server = grpc.server(ThreadPoolExecutor(1))  # one call after another
    server.add_generic_rpc_handlers((counting,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield counting, f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_two_envoys_count_together(
    tmp_path_factory: pytest.TempPathFactory, service: tuple[Counting, str]
) -> None:
    counting, address = service
    limits = Limits(service=address)
    folders = [tmp_path_factory.mktemp("edge") for _ in range(2)]
    with edge_stack(folders[0], limits) as one, edge_stack(folders[1], limits) as two:
        replies = [httpx.post(f"{edge.rest}{SYNC}") for _ in range(4) for edge in (one, two)]
        assert [reply.status_code for reply in replies] == [200] * 5 + [429] * 3
        assert failed(replies[-1]).code == "RATE_LIMITED"
        assert int(replies[-1].headers["retry-after"]) >= 1
        (request,) = counting.asked
        for part in (b"finlink", b"masked_remote_address", b"127.0.0.1/32", b"group", b"sync"):
            assert part in request


def test_without_the_service_calls_pass(tmp_path_factory: pytest.TempPathFactory) -> None:
    limits = Limits(service=f"127.0.0.1:{free_ports(1)[0]}")
    with edge_stack(tmp_path_factory.mktemp("edge"), limits) as edge:
        assert {httpx.post(f"{edge.rest}{SYNC}").status_code for _ in range(8)} == {200}
