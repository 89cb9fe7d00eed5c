"""Envoy's drain: the request under way is answered, the next connection refused."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from server.edge.drain import REQUESTS, active, drain
from server.edge.probes import envoy_ready, port_open, until
from server.edge.programs import find_envoy
from server.supervisor import specs
from server.supervisor.supervisor import Supervisor
from tests.supervisor.harness import DEADLINE, free_ports

CONFIG = """
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}}}
static_resources:
  listeners:
  - name: rest
    address: {{socket_address: {{address: 127.0.0.1, port_value: {rest}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: rest
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: up}}}}]}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: up
    load_assignment:
      cluster_name: up
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{pipe: {{path: {socket}}}}}}}}}]}}]
"""  # noqa: E501 - type names are long


async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An upstream."""
    with suppress(asyncio.IncompleteReadError):
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
    writer.close()


async def test_requests_under_way_are_finished(tmp_path: Path) -> None:
    rest, admin = free_ports(2)
    asked, reply = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reply.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
        await writer.drain()
        writer.close()

    path = tmp_path / "up.sock"
    config = tmp_path / "envoy.yaml"
    config.write_text(CONFIG.format(admin=admin, rest=rest, socket=path))
    supervisor = Supervisor()
    async with asyncio.timeout(DEADLINE), await asyncio.start_unix_server(slow, path):
        try:
            wanted = specs.envoy(find_envoy(), config, admin, tmp_path / "envoy.log", workers=1)
            await supervisor.start([wanted])
            reader, writer = await asyncio.open_connection("127.0.0.1", rest)
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await asked.wait()
            assert await active(admin, REQUESTS) == 1

            draining = asyncio.create_task(drain(admin))

            async def draining_begun() -> bool:
                return not await port_open(rest) and not await envoy_ready(admin)

            await until(draining_begun)
            assert not draining.done()
            reply.set()
            said = await reader.readuntil(b"hello")
            assert said.startswith(b"HTTP/1.1 200 OK")
            assert b"connection: close" in said
            writer.close()
            await draining
        finally:
            await supervisor.stop(supervisor.processes)


async def test_no_client_is_disconnected_while_a_part_of_the_port_is_open(tmp_path: Path) -> None:
    rest, admin = free_ports(2)
    path = tmp_path / "up.sock"
    config = tmp_path / "envoy.yaml"
    config.write_text(CONFIG.format(admin=admin, rest=rest, socket=path))
    supervisor = Supervisor()
    async with asyncio.timeout(DEADLINE), await asyncio.start_unix_server(hello, path):
        try:
            wanted = specs.envoy(find_envoy(), config, admin, tmp_path / "envoy.log", workers=1)
            await supervisor.start([wanted])
            reader, writer = await asyncio.open_connection("127.0.0.1", rest)

            async def said() -> bytes:
                writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                return await reader.readuntil(b"hello")

            assert b"connection: close" not in await said()
            # As a thread of Envoy that is late to close its own.
            with socket.socket() as part:
                part.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                part.setblocking(False)
                part.bind(("127.0.0.1", rest))
                part.listen()
                draining = asyncio.create_task(drain(admin, connections=True))
                for _ in range(2):  # the port is tried, and tried again
                    tried, _ = await asyncio.get_running_loop().sock_accept(part)
                    tried.close()
                assert b"connection: close" not in await said()
            while b"connection: close" not in await said():
                pass
            writer.close()
            await draining
        finally:
            await supervisor.stop(supervisor.processes)


async def test_an_envoy_that_is_gone_needs_no_draining() -> None:
    (port,) = free_ports(1)
    await drain(port)


async def test_a_port_that_speaks_no_http_is_not_ready() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hm\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = int(server.sockets[0].getsockname()[1])
        with pytest.raises(ConnectionError):
            await active(port, REQUESTS)
    assert not await partial(port_open, port)()
