"""Exporting a user with the client."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from finlink.exports.v1.export_service_pb2 import ExportUserRequest, ExportUserResponse
from finlink.users.v1.user_creation_pb2 import CreateUserRequest
from finlink.users.v1.user_pb2 import User
from finlink_client import Cancelled, DeadlineExceeded, Unavailable, UserNotFound

from tests.clients.flavours import Client
from tests.clients.scripted import HANG, Failure, Script

EXPORT = "ExportUser"
TIMEOUT = 30.0
REQUEST = ExportUserRequest(user_id="ann")
PIECE = ExportUserResponse(user=User(user_id="ann")).SerializeToString()


async def test_a_user_s_export(client: Client, new_id: str) -> None:
    await client.call(CreateUserRequest(user_id=new_id, email=f"{new_id}@example.com"))
    pieces = await client.export(ExportUserRequest(user_id=new_id))
    kinds = [piece.WhichOneof("item") for piece in pieces]
    assert kinds == ["user", "login_methods", "audit_event", "audit_event", "completed"]
    assert pieces[0].user.user_id == new_id
    assert pieces[-1].completed.counts["auditEvent"] == 2


async def test_nobody_s_export(client: Client, new_id: str) -> None:
    with pytest.raises(UserNotFound):
        await client.export(ExportUserRequest(user_id=new_id))


async def test_one_that_breaks_off_is_not_taken_for_the_whole(
    script: Script, scripted: Client
) -> None:
    script.streams[EXPORT].append([PIECE, Failure(grpc.StatusCode.UNAVAILABLE, "gone")])
    with pytest.raises(Unavailable):
        await scripted.export(REQUEST)
    assert script.calls(EXPORT) == 1


async def test_its_time_may_be_bounded(script: Script, scripted: Client) -> None:
    script.streams[EXPORT].append([PIECE, HANG])
    with pytest.raises(DeadlineExceeded):
        await scripted.export(REQUEST, timeout=0.2)


async def test_closing_the_client_ends_it(script: Script, scripted: Client) -> None:
    script.streams[EXPORT].append([PIECE, HANG])
    exporting = asyncio.ensure_future(scripted.export(REQUEST))
    assert await asyncio.to_thread(script.hanging.wait, TIMEOUT)
    await scripted.close()
    with pytest.raises(Cancelled):
        await exporting
