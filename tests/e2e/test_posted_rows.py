"""Through Envoy: what a connector syncs becomes accounts and transactions of its user by itself."""

from __future__ import annotations

from typing import Any

import grpc
import httpx
import pytest
from finlink.money.v1 import account_streams_pb2 as pb
from finlink.money.v1.account_service_pb2_grpc import AccountServiceStub

from tests.e2e import connector_steps as steps
from tests.e2e.connector_steps import Documents, Json
from tests.e2e.money_steps import Money, error_of


def behalf(user_id: str) -> dict[str, Any]:
    return {"headers": {"x-on-behalf-of": user_id}}


async def all_transactions(rest: httpx.AsyncClient, user_id: str) -> list[Json]:
    found: list[Json] = []
    params: dict[str, Any] = {"limit": 500}
    while True:
        page = (await rest.get("/transactions", params=params, **behalf(user_id))).json()["data"]
        found += page["transactions"]
        if (token := page["pagination"].get("nextPageToken")) is None:
            return found
        params["pageToken"] = token


async def posted(rest: httpx.AsyncClient, documents: Documents, connector_id: str) -> None:
    """Wait until nothing of a connector waits to be posted."""
    await steps.synced(rest, connector_id)

    async def probe() -> bool:
        found = await documents["record_postings"].find_one({"_id": connector_id})
        return found is not None and "dueAt" not in found

    await steps.eventually(probe, "the rows to be posted")


async def test_the_rows_of_a_connector_are_its_user_s_transactions(
    rest: httpx.AsyncClient, documents: Documents, new_id: str
) -> None:
    user_id = new_id
    await steps.create_user(rest, user_id)
    connector = await steps.connect(rest, user_id, permissions=["transactions", "portfolio"])
    await posted(rest, documents, connector["id"])
    query = {"connectorId": connector["id"], "dataType": "transactions"}
    rows = await documents["records"].count_documents(query)
    found = await all_transactions(rest, user_id)
    assert len(found) == rows > 0
    assert {each["origins"][0]["source"] for each in found} == {"connector"}
    accounts = (await rest.get("/accounts", **behalf(user_id))).json()["data"]["accounts"]
    linked = [each for each in accounts if each.get("stream", "").startswith("bank:")]
    assert {each["accountId"] for each in linked} == {each["accountId"] for each in found}
    for each in linked:
        where = f"/accounts/{each['accountId']}"
        balance = (await rest.get(f"{where}/balance", **behalf(user_id))).json()["data"]
        assert balance["balance"] == balance["reported"]["amount"], "as the bank has it"
        assert balance["difference"]["value"] == "0.00"
        details = (await rest.get(where, **behalf(user_id))).json()["data"]
        assert details["balances"]["reported"] == balance["reported"]["amount"]


async def test_what_a_bank_reported_is_the_bank_s_and_there_once(
    rest: httpx.AsyncClient, documents: Documents, new_id: str
) -> None:
    money = Money(rest, new_id)
    await steps.create_user(rest, new_id)
    connector = await steps.connect(rest, new_id, permissions=["transactions"])
    await posted(rest, documents, connector["id"])
    before = await all_transactions(rest, new_id)
    first = before[0]
    path = f"/transactions/{first['id']}"
    other = await money.made("/accounts", {"name": "Euro", "type": "bank", "currency": "EUR"})
    euro = {"accountId": other["accountId"], "amount": {"value": "1.00", "currency": "EUR"}}
    for body in ({"amount": {"value": "0.01"}}, euro):
        assert error_of(await money.put(path, body)) == (409, "TRANSACTION_LINKED")
    assert (await money.put(path, {"description": "mine"})).is_success
    gone = await money.delete(path, forget="true")
    assert gone.is_success, gone.text
    await posted(rest, documents, connector["id"])
    (second,) = {each["id"] for each in await all_transactions(rest, new_id)} - {
        each["id"] for each in before
    }
    refused = await money.post(f"{path}/restore", {})
    assert error_of(refused) == (409, "TRANSACTION_EXISTS")
    assert refused.json()["error"]["metadata"] == {"transactionId": second}
    await money.delete(f"/transactions/{second}")
    back = await money.post(f"{path}/restore", {})
    assert back.json()["data"]["description"] == "mine"
    assert len(await all_transactions(rest, new_id)) == len(before)


async def test_a_stream_is_attached_and_detached(
    rest: httpx.AsyncClient, documents: Documents, new_id: str
) -> None:
    user_id = new_id
    await steps.create_user(rest, user_id)
    connector = await steps.connect(rest, user_id, permissions=["transactions"])
    await posted(rest, documents, connector["id"])
    before = await all_transactions(rest, user_id)
    own = {"name": "My own", "type": "bank", "currency": "INR"}
    made = (await rest.post("/accounts", json=own, **behalf(user_id))).json()["data"]
    accounts = (await rest.get("/accounts", **behalf(user_id))).json()["data"]["accounts"]
    stream = next(each["stream"] for each in accounts if "stream" in each)
    account_id = made["accountId"]
    body = {"connectorId": connector["id"], "stream": stream}
    attached = await rest.post(f"/accounts/{account_id}/stream", json=body, **behalf(user_id))
    assert attached.status_code == 200, attached.text
    assert attached.json()["data"]["stream"] == stream
    await posted(rest, documents, connector["id"])
    after = await all_transactions(rest, user_id)
    assert sorted(each["id"] for each in after) == sorted(each["id"] for each in before)
    assert account_id in {each["accountId"] for each in after}
    detached = await rest.delete(f"/accounts/{account_id}/stream", **behalf(user_id))
    assert detached.json()["data"]["source"] == "manual"
    again = await rest.delete(f"/accounts/{account_id}/stream", **behalf(user_id))
    assert (again.status_code, again.json()["error"]["code"]) == (404, "STREAM_NOT_FOUND")
    wrong = await rest.post(
        f"/accounts/{account_id}/stream", json={**body, "stream": "bank:none"}, **behalf(user_id)
    )
    assert wrong.json()["error"]["code"] == "STREAM_NOT_FOUND"


async def test_streams_over_grpc(
    rest: httpx.AsyncClient, channel: grpc.aio.Channel, documents: Documents, new_id: str
) -> None:
    await steps.create_user(rest, new_id)
    connector = await steps.connect(rest, new_id, permissions=["transactions"])
    await posted(rest, documents, connector["id"])
    stub: Any = AccountServiceStub(channel)
    own = {"metadata": (("x-on-behalf-of", new_id),)}
    accounts = (await rest.get("/accounts", **behalf(new_id))).json()["data"]["accounts"]
    linked = next(each for each in accounts if "stream" in each)
    parted = pb.DetachStreamRequest(account_id=linked["accountId"])
    assert not (await stub.DetachStream(parted, **own)).data.HasField("stream")
    request = pb.AttachStreamRequest(
        account_id=linked["accountId"], connector_id=connector["id"], stream=linked["stream"]
    )
    assert (await stub.AttachStream(request, **own)).data.stream == linked["stream"]
    request.account_id = "0" * 24
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await stub.AttachStream(request, **own)
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
