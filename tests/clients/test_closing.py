"""Closing a client, giving up a call, and the other ways of calling."""

from __future__ import annotations

import asyncio

import finlink_client
import grpc
import pytest
from finlink.users.v1.user_service_pb2 import GetUserRequest
from finlink_client import Cancelled, NotFound

from tests.clients.flavours import Client
from tests.clients.scripted import HANG, TIMEOUT, Failure, Script

REQUEST = GetUserRequest(user_id="asha")
MISSING = Failure(grpc.StatusCode.NOT_FOUND, "User not found")


async def under_way(script: Script, client: Client) -> asyncio.Task[object]:
    """A call that has arrived and will not be answered."""
    script.replies["GetUser"].append(HANG)
    task = asyncio.create_task(client.call(REQUEST))
    assert await asyncio.to_thread(script.hanging.wait, TIMEOUT)
    return task


async def test_a_closed_client_refuses_calls(scripted: Client) -> None:
    await scripted.call(REQUEST)
    await scripted.close()
    await scripted.close()
    with pytest.raises(RuntimeError, match="the client is closed"):
        await scripted.call(REQUEST)


async def test_closing_ends_the_calls_under_way(script: Script, scripted: Client) -> None:
    task = await under_way(script, scripted)
    await scripted.close()
    with pytest.raises(Cancelled):
        await task


async def test_a_task_that_is_cancelled_while_calling_ends_as_cancelled(script: Script) -> None:
    async with finlink_client.connect(script.address) as finlink:
        task = await under_way(script, Client(finlink))
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_timeout_around_a_call_ends_it(script: Script) -> None:
    script.replies["GetUser"].append(HANG)
    async with finlink_client.connect(script.address) as finlink:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await finlink.users.GetUser(REQUEST)


def test_connect_needs_a_running_event_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        finlink_client.connect("localhost:50051")


async def test_the_channel_closes_when_the_block_fails(script: Script) -> None:
    with pytest.raises(KeyError):
        async with finlink_client.connect(script.address) as finlink:
            raise KeyError
    with pytest.raises(RuntimeError):
        await finlink.users.GetUser(REQUEST)


def test_with_call_returns_the_call_too_and_raises_the_same(script: Script) -> None:
    with finlink_client.connect_blocking(script.address) as finlink:
        _, call = finlink.users.GetUser.with_call(REQUEST)
        assert call.code() is grpc.StatusCode.OK
        script.replies["GetUser"].append(MISSING)
        with pytest.raises(NotFound):
            finlink.users.GetUser.with_call(REQUEST)


def test_a_future_does_not_wait_and_fails_the_same_way(script: Script) -> None:
    script.replies["GetUser"].append(HANG)
    with finlink_client.connect_blocking(script.address) as finlink:
        future = finlink.users.GetUser.future(REQUEST)
        assert script.hanging.wait(TIMEOUT)
        assert not future.done()
        script.over.set()
        assert future.result(TIMEOUT) is not None
        assert future.exception(TIMEOUT) is None

        script.replies["GetUser"].append(MISSING)
        failing = finlink.users.GetUser.future(REQUEST)
        reported: list[object] = []
        with pytest.raises(NotFound):
            failing.result(TIMEOUT)
        failing.add_done_callback(reported.append)
        assert isinstance(failing.exception(TIMEOUT), NotFound)
        assert reported == [failing]
