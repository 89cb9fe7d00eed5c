"""Requests of shapes that no RPC of the contract has had yet, through the middleware and a real Envoy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
from google.api.httpbody_pb2 import HttpBody

from server.rpc.method import Method
from server.rpc.middleware.chain import MiddlewareServices
from tests.e2e.replies import content_of
from tests.e2e.users_errors import failed, grpc_error
from tests.edge.edge_stack import untyped
from tests.rpc.bills.service import SERVICE, Site, digest, serving

MIB = 1024 * 1024


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with serving(tmp_path_factory.mktemp("bills")) as served:
        yield served


@pytest.fixture
async def rest(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{site.edge_stack.rest}/api/v1", timeout=30) as client:
        yield client


@pytest.fixture
async def channel(site: Site) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{site.edge_stack.grpc_port}") as opened:
        yield opened


def split(value: str = "5", member: str = "m1") -> dict[str, Any]:
    return {"memberId": member, "amount": {"value": value, "currency": "INR"}, "tags": ["a"]}


# --- lists of messages, and maps ----------------------------------------------------------------


async def test_lists_of_messages_and_maps_are_read(rest: httpx.AsyncClient) -> None:
    body = {
        "splits": [split(), split("7", "m2")],
        "labels": {"home.x": "yes", "a b": ""},
        "limits": {"m1": {"value": "9", "currency": "INR"}},
    }
    reply = await rest.post("/bills/b1/splits", json=body)
    assert reply.status_code == 201
    assert content_of(reply) == {"data": {"billId": "b1", **body}}
    nothing = await rest.post(
        "/bills/b1/splits", json={"splits": [split()], "labels": {"a": None}, "limits": {}}
    )
    assert content_of(nothing)["data"]["labels"] == {}


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({"splits": [split(), split("x")]}, {"splits[1].amount.value"}),
        ({"splits": [split(), 5, split("x")]}, {"splits[1]", "splits[2].amount.value"}),
        ({"splits": [None, split(), split("x")]}, {"splits[0]", "splits[2].amount.value"}),
        ({"splits": [{"memberId": "m"}, {"amount": 5}]},
         {"splits[0].amount", "splits[1].amount", "splits[1].memberId"}),
        ({"splits": [split() | {"memberid": "m", "member_id": "m"}]},
         {"splits[0].memberid", "splits[0].member_id"}),
        ({"splits": [split() | {"tags": [5, "much too long", "x\x00"]}]},
         {"splits[0].tags[0]", "splits[0].tags[1]", "splits[0].tags[2]"}),
        ({"splits": [split(member="m\n")]}, {"splits[0].memberId"}),
        ({"splits": split()}, {"splits"}),
        ({"splits": []}, {"splits"}),
        ({"splits": [split()] * 4}, {"splits"}),
        ({}, {"splits"}),
        ({"splits": [split()], "labels": {"a": 5, "b": "much too long"}}, {"labels.a", "labels.b"}),
        ({"splits": [split()], "labels": {"a": "x\x01"}}, {"labels.a"}),
        ({"splits": [split()], "labels": {"much too long": "x"}}, {"labels.much too long"}),
        ({"splits": [split()], "labels": {"a": "", "b": "", "c": ""}}, {"labels"}),
        ({"splits": [split()], "labels": []}, {"labels"}),
        ({"splits": [split()], "labels": ["a"]}, {"labels"}),
        ({"splits": [split()], "limits": {"a": {"value": "x"}}}, {"limits.a.value"}),
        ({"splits": [split()], "limits": {"a": 5, "b": {"value": 5, "other": 1}}},
         {"limits.a", "limits.b.value", "limits.b.other"}),
    ],
)  # fmt: skip
async def test_all_that_is_wrong_in_them_is_named_at_its_place(
    rest: httpx.AsyncClient, body: dict[str, Any], places: set[str]
) -> None:
    failure = failed(await rest.post("/bills/b1/splits", json=body))
    assert failure.code == "VALIDATION_ERROR"
    assert set(failure.fields) == places


async def test_a_key_of_a_map_is_given_once(rest: httpx.AsyncClient) -> None:
    body = json.dumps({"splits": [split()]})[:-1] + ', "labels": {"a": "1", "a": "2"}}'
    failure = failed(await rest.post("/bills/b1/splits", content=body))
    assert failure.fields == {"labels.a": "must be given once"}


async def test_over_grpc_the_same_places_are_named(site: Site, channel: grpc.aio.Channel) -> None:
    request = site.message(
        "SplitBill",
        bill_id="b1",
        splits=[{"member_id": "m1", "amount": {"value": "5"}}, {"member_id": "m\x00"}],
        labels={"a": "\x01"},
    )
    call = untyped(channel, f"/{SERVICE}/SplitBill")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(request.SerializeToString())
    places = {"splits[1].memberId", "splits[1].amount", "labels.a"}
    assert set(grpc_error(raised.value).fields) == places


# --- verbs --------------------------------------------------------------------------------------


async def test_patch(site: Site, rest: httpx.AsyncClient) -> None:
    reply = await rest.patch("/bills/b1", json={"noteText": "hi"})
    assert content_of(reply)["data"]["noteText"] == "hi"
    removed = await rest.patch("/bills/b1", json={"openSplits": [], "updateMask": "noteText"})
    assert content_of(removed)["data"]["updateMask"] == "noteText,openSplits"
    failure = failed(await rest.patch("/bills/b1", json={"billId": "b2", "note": 1}))
    assert set(failure.fields) == {"billId", "note"}
    assert failed(await rest.patch("/bills/b1?noteText=x", json={})).fields.keys() == {"noteText"}
    # It changes something, so a repeated call is served once.
    count, key = len(site.bills.got), {"idempotency-key": "patch-1"}
    for _ in range(2):
        again = await rest.patch("/bills/b1", json={"noteText": "once"}, headers=key)
        assert content_of(again)["data"]["noteText"] == "once"
    assert len(site.bills.got) == count + 1


async def test_delete_with_a_body(rest: httpx.AsyncClient) -> None:
    for body, expected in ((b'{"withReceipts": true}', True), (b"{}", None), (b"", None)):
        reply = await rest.request("DELETE", "/bills/b1", content=body)
        data = content_of(reply)["data"]
        assert data["billId"] == "b1"
        assert data.get("withReceipts") is expected
    wrong = await rest.request("DELETE", "/bills/b1", json={"withReceipts": "true"})
    assert failed(wrong).fields.keys() == {"withReceipts"}
    assert failed(await rest.delete("/bills/b1?withReceipts=true")).fields.keys() == {
        "withReceipts"
    }


async def test_a_post_that_changes_nothing_is_served_each_time(
    site: Site, rest: httpx.AsyncClient
) -> None:
    count = len(site.bills.got)
    for key in ("preview-1", "preview-1", "no key at all"):
        reply = await rest.post(
            "/bills:preview", json={"text": "x"}, headers={"idempotency-key": key}
        )
        assert content_of(reply) == {"data": {"text": "x"}}
    assert len(site.bills.got) == count + 3


# --- raw bodies ---------------------------------------------------------------------------------

PNG = "image/png"


async def test_a_raw_body_beside_path_and_query(rest: httpx.AsyncClient) -> None:
    content = bytes(range(256)) * 3000
    reply = await rest.post(
        "/bills/b1/receipt?purpose=receipt", content=content, headers={"content-type": PNG}
    )
    assert content_of(reply) == {
        "contentType": PNG,
        "size": len(content),
        "sha256": digest(content),
        "purpose": "receipt",
    }
    untyped = await rest.post("/bills/b1/receipt?purpose=receipt", content=b"{not JSON")
    assert content_of(untyped)["contentType"] == ""


@pytest.mark.parametrize(
    ("query", "place"),
    [("", "purpose"), ("?purpose=x", "purpose"), ("?purpose=receipt&file=x", "file")],
)
async def test_what_comes_beside_a_raw_body_is_read_strictly(
    rest: httpx.AsyncClient, query: str, place: str
) -> None:
    failure = failed(await rest.post(f"/bills/b1/receipt{query}", content=b"x"))
    assert failure.fields.keys() == {place}


async def test_a_raw_body_is_as_large_as_its_rpc_says(
    site: Site, rest: httpx.AsyncClient, channel: grpc.aio.Channel
) -> None:
    path = "/bills/b1/receipt?purpose=receipt"
    assert content_of(await rest.post(path, content=bytes(MIB)))["size"] == MIB
    assert failed(await rest.post(path, content=bytes(MIB + 1))).code == "PAYLOAD_TOO_LARGE"
    request = site.message(
        "AttachReceipt", bill_id="b1", purpose="receipt", file=HttpBody(data=bytes(MIB))
    )
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await untyped(channel, f"/{SERVICE}/AttachReceipt")(request.SerializeToString())
    assert grpc_error(raised.value).code == "PAYLOAD_TOO_LARGE"


async def test_a_request_and_a_reply_that_are_a_raw_body(
    rest: httpx.AsyncClient, channel: grpc.aio.Channel
) -> None:
    sent = {"content-type": "application/jose"}
    reply = await rest.post("/bills/webhook", content=b"\x00abc", headers=sent)
    assert (reply.status_code, reply.content) == (200, b"cba\x00")
    assert reply.headers["content-type"] == sent["content-type"]
    assert failed(await rest.post("/bills/webhook?data=x")).fields.keys() == {"data"}
    request = HttpBody(content_type="text/plain", data=b"abc").SerializeToString()
    raw = await untyped(channel, f"/{SERVICE}/ReceiveWebhook")(request)
    assert HttpBody.FromString(raw).data == b"cba"


@pytest.mark.parametrize("base", ["/api/v1", "/v1", "/api"])
async def test_under_each_base_path(site: Site, base: str) -> None:
    async with httpx.AsyncClient(base_url=site.edge_stack.rest + base) as client:
        assert (await client.post("/bills/webhook", content=b"abc")).content == b"cba"
        assert (await client.patch("/bills/b1", json={"noteText": "x"})).is_success


# --- streams ------------------------------------------------------------------------------------


async def chunks(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield HttpBody(content_type=PNG, data=b"x" * size).SerializeToString()


async def test_a_stream_of_requests_over_grpc(site: Site, channel: grpc.aio.Channel) -> None:
    call: Any = channel.stream_unary(f"/{SERVICE}/UploadBills")
    raw = await call(chunks(10, 0, 200_000))
    reply: Any = site.bills.methods["UploadBills"].response_class.FromString(raw)
    assert (reply.size, reply.chunks, reply.content_type) == (200_010, 3, PNG)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(chunks(MIB // 2, MIB // 2))
    assert grpc_error(raised.value).code == "PAYLOAD_TOO_LARGE"

    async def broken() -> AsyncIterator[bytes]:
        yield b"\xff"

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(broken())
    assert grpc_error(raised.value).code == "VALIDATION_ERROR"


async def test_an_upload_over_rest_arrives_in_chunks(site: Site, rest: httpx.AsyncClient) -> None:
    content = bytes(range(256)) * 3000
    kind = "multipart/form-data; boundary=x"
    reply = await rest.post("/bills/upload", content=content, headers={"content-type": kind})
    assert reply.status_code == 201
    reported = content_of(reply)
    assert reported.pop("chunks") > 1
    assert reported == {"contentType": kind, "size": len(content), "sha256": digest(content)}
    assert failed(await rest.post("/bills/upload?x=1", content=b"abc")).fields.keys() == {"x"}
    large = await rest.post("/bills/upload", content=bytes(2 * MIB))
    assert failed(large).code == "PAYLOAD_TOO_LARGE"


async def test_an_upload_may_pause_as_long_as_its_rpc_says(
    site: Site, rest: httpx.AsyncClient
) -> None:
    site.bills.uploads.clear()
    never = asyncio.Event()

    async def pausing() -> AsyncIterator[bytes]:
        yield b"a"
        await never.wait()

    upload = asyncio.create_task(rest.post("/bills/upload", content=pausing()))
    async with asyncio.timeout(10):
        while not site.bills.uploads:  # noqa: ASYNC110 - the server is told of it in its own time
            await asyncio.sleep(0.1)
    upload.cancel()


async def test_an_upload_that_breaks_off_is_no_upload(
    site: Site, channel: grpc.aio.Channel
) -> None:
    site.bills.uploads.clear()
    call: Any = channel.stream_unary(f"/{SERVICE}/UploadBills")()
    async for chunk in chunks(10, 10):
        await call.write(chunk)
    call.cancel()
    async with asyncio.timeout(10):
        while not site.bills.uploads:  # noqa: ASYNC110 - the server is told of it in its own time
            await asyncio.sleep(0.01)
    assert site.bills.uploads == ["CancelledError"]


async def test_an_upload_that_is_there_is_finished_although_its_caller_goes_away(
    site: Site, channel: grpc.aio.Channel
) -> None:
    site.bills.uploads.clear()
    site.bills.pause = asyncio.Event()
    call: Any = channel.stream_unary(f"/{SERVICE}/UploadBills")()
    async for chunk in chunks(10, 10):
        await call.write(chunk)
    await call.done_writing()
    async with asyncio.timeout(10):
        await call.initial_metadata()  # the server has all of it
    call.cancel()
    site.bills.pause.set()
    site.bills.pause = None
    await site.completion.drain(10)
    assert site.bills.uploads == ["whole"]


async def test_a_key_of_a_stream_is_the_business_of_its_rpc(
    rest: httpx.AsyncClient,
) -> None:
    key = {"idempotency-key": "upload-1"}
    for content in (b"a", b"bc"):
        reply = await rest.post("/bills/upload", content=content, headers=key)
        assert content_of(reply)["size"] == len(content)
    bad = await rest.post("/bills/upload", content=b"", headers={"idempotency-key": "two words"})
    assert failed(bad).fields.keys() == {"Idempotency-Key"}


def test_streams_both_ways_are_refused_at_start(site: Site) -> None:
    upload = Method(site.bills.methods["UploadBills"].descriptor)
    upload.streams = True  # beside the requests
    services = MiddlewareServices({upload.path: upload}, [])
    with pytest.raises(TypeError, match="both ways"):
        services.add_registered_method_handlers(
            SERVICE, {"UploadBills": site.bills.handlers()["UploadBills"]}
        )
