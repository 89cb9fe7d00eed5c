"""Accounts over REST and over gRPC; what moves their balances is in the tests of transactions."""

from __future__ import annotations

from typing import Any

import grpc
import httpx
import pytest
from finlink.money.v1 import account_changes_pb2 as pb
from finlink.money.v1 import account_service_pb2 as rpc
from finlink.money.v1 import account_streams_pb2 as streams_pb
from finlink.money.v1 import reconciliation_pb2
from finlink.money.v1.account_service_pb2_grpc import AccountServiceStub
from finlink.money.v1.transaction_service_pb2_grpc import TransactionServiceStub

from tests.domains.money.requests import on_behalf
from tests.e2e import connector_steps as steps
from tests.e2e.connector_steps import database
from tests.e2e.money_steps import Money, error_of
from tests.stack import Stack

STREAM: dict[str, Any] = {"connectorId": "0" * 24, "stream": "bank:X"}
STATEMENT: dict[str, Any] = {
    "statementDate": "2026-01-31",
    "statementBalance": {"value": "0"},
}
PURSE: dict[str, Any] = {"name": "Purse", "type": "cash"}
SAVINGS: dict[str, Any] = {
    "name": "Savings",
    "type": "bank",
    "currency": "KWD",
    "openingBalance": {"value": "25000.5"},
    "openingDate": "2026-01-01",
    "institution": "A Bank",
    "mask": "4321",
    "inNetWorth": False,
}


@pytest.fixture
async def money(rest: httpx.AsyncClient, new_id: str) -> Money:
    await steps.create_user(rest, new_id)
    return Money(rest, new_id)


async def test_over_rest(money: Money) -> None:
    purse = await money.made("/accounts", PURSE)
    nothing = {"value": "0.00", "currency": "INR"}
    assert purse == {
        "accountId": purse["accountId"], **PURSE, "currency": "INR", "openingBalance": nothing,
        "balance": nothing, "source": "manual", "onBudget": True, "inNetWorth": True,
        "archived": False, "etag": purse["etag"],
    }  # fmt: skip
    savings = await money.made("/accounts", SAVINGS)
    opening = {"value": "25000.500", "currency": "KWD"}
    assert savings == {**savings, **SAVINGS, "openingBalance": opening, "balance": opening}
    loan = await money.made("/accounts", {"name": "Loan", "type": "loan"})
    assert loan["onBudget"] is False
    taken = await money.post("/accounts", {**PURSE, "name": "purse "})
    assert error_of(taken) == (409, "ACCOUNT_EXISTS")
    listed = (await money.get("/accounts")).json()["data"]["accounts"]
    assert listed == [loan, purse, savings]
    assert (await money.get("/accounts", type="cash")).json()["data"]["accounts"] == [purse]
    linked = await money.get("/accounts", source="connector")
    assert linked.json()["data"] == {"accounts": []}

    path = f"/accounts/{savings['accountId']}"
    read = (await money.get(path)).json()["data"]
    amounts = {"current": opening, "reconciled": opening, "currency": "KWD"}
    balances = {**amounts, "asOf": read["balances"]["asOf"]}
    assert read == {**savings, "balances": balances, "transactions": []}
    assert (await money.get(path)).headers["etag"] == f'W/"{savings["etag"]}"'
    assert error_of(await money.put(path, {}))[0] == 400
    changed = await money.put(path, {"archived": True, "updateMask": "mask,onBudget,inNetWorth"})
    shown = changed.json()
    assert shown["message"] == "Account updated successfully"
    assert shown["data"] == {
        **{name: value for name, value in savings.items() if name != "mask"},
        "archived": True, "inNetWorth": True, "etag": shown["data"]["etag"],
    }  # fmt: skip
    assert (await money.get("/accounts", archived="true")).json()["data"]["accounts"] == [
        shown["data"]
    ]
    stale = await money.put(path, {"name": "x", "etag": savings["etag"]})
    assert error_of(stale) == (412, "ETAG_MISMATCH")
    assert error_of(await money.delete(path, etag=savings["etag"]))[0] == 412
    assert error_of(await money.put(path, {"name": "Purse"})) == (409, "ACCOUNT_EXISTS")
    assert (await money.delete(path)).json()["message"] == "Account deleted successfully"
    for reply in (await money.delete(path), await money.get(path), await money.put(path, PURSE)):
        assert error_of(reply) == (404, "ACCOUNT_NOT_FOUND")
    assert (await money.post("/accounts", SAVINGS)).is_success  # the name is free again


async def test_the_opening_balance(money: Money) -> None:
    made = await money.made("/accounts", SAVINGS)
    path = f"/accounts/{made['accountId']}"
    put = await money.put(path, {"openingBalance": {"value": "-1.005", "currency": "KWD"}})
    assert put.json()["data"]["balance"] == {"value": "-1.005", "currency": "KWD"}
    for wrong, field in (
        ({"value": "1.0005"}, "openingBalance.value"),
        ({"value": "1", "currency": "INR"}, "openingBalance.currency"),
        ({"value": "+1"}, "openingBalance.value"),
    ):
        refused = await money.put(path, {"openingBalance": wrong})
        assert error_of(refused, field) == (400, "VALIDATION_ERROR")
    missing = await money.put(path, {"currency": "JPY"})
    assert error_of(missing, "openingBalance") == (400, "VALIDATION_ERROR")
    moved = await money.put(path, {"currency": "JPY", "openingBalance": {"value": "500000"}})
    assert moved.json()["data"]["balance"] == {"value": "500000", "currency": "JPY"}
    gone = await money.put(path, {"updateMask": "openingBalance,openingDate"})
    assert gone.json()["data"]["openingBalance"] == {"value": "0", "currency": "JPY"}
    assert "openingDate" not in gone.json()["data"]
    gold = await money.post("/accounts", {**PURSE, "currency": "XAU"})
    assert error_of(gold, "currency") == (400, "VALIDATION_ERROR")
    late = await money.post("/accounts", {**PURSE, "openingDate": "2099-01-01"})
    assert error_of(late, "openingDate") == (400, "VALIDATION_ERROR")


async def test_the_balance_of_a_day(money: Money) -> None:
    made = await money.made("/accounts", SAVINGS)
    path = f"/accounts/{made['accountId']}/balance"
    zero, opening = ({"value": value, "currency": "KWD"} for value in ("0.000", "25000.500"))
    before = (await money.get(path, date="2025-12-31")).json()["data"]
    assert before == {"balance": zero, "reconciled": zero, "pending": zero, "date": "2025-12-31"}
    after = (await money.get(path, date="2026-01-01")).json()["data"]
    assert after == {**before, "balance": opening, "reconciled": opening, "date": "2026-01-01"}
    today = (await money.get(path)).json()["data"]
    assert today == {**after, "date": today["date"]}
    assert error_of(await money.get(path, date="2026-02-30"), "date")[0] == 400
    unknown = await money.get(f"/accounts/{'0' * 24}/balance")
    assert error_of(unknown) == (404, "ACCOUNT_NOT_FOUND")


async def test_with_transactions(channel: grpc.aio.Channel, money: Money) -> None:
    made = await money.made("/accounts", PURSE)
    account_id = made["accountId"]
    spent = {"accountId": account_id, "kind": "expense", "amount": {"value": "12.50"}}
    for day in ("2026-01-03", "2026-01-05"):
        await money.made("/transactions", {**spent, "date": day})
    read = await money.get(f"/accounts/{account_id}")
    shown = read.json()["data"]
    assert shown["balances"]["current"] == {"value": "-25.00", "currency": "INR"}
    assert shown["lastTransactionDate"] == "2026-01-05"
    afters = [each["balanceAfter"]["value"] for each in shown["transactions"]]
    assert afters == ["-25.00", "-12.50"]
    same = await money.get(
        f"/accounts/{account_id}", headers={"if-none-match": read.headers["etag"]}
    )
    assert same.status_code == 304

    used = await money.delete(f"/accounts/{account_id}")
    assert error_of(used) == (409, "ACCOUNT_IN_USE")
    assert used.json()["error"]["metadata"] == {"transactions": "2"}
    fixed = await money.put(f"/accounts/{account_id}", {"currency": "USD"})
    assert error_of(fixed, "currency") == (400, "VALIDATION_ERROR")
    moved = await money.put(f"/accounts/{account_id}", {"openingDate": "2026-01-04"})
    assert moved.json()["message"] == (
        "Account updated successfully; its balance now counts transactions from 2026-01-04 on"
    )
    assert moved.json()["data"]["balance"]["value"] == "-12.50"

    statement = {"statementDate": "2026-01-31", "statementBalance": {"value": "-12.40"}}
    differs = await money.post(f"/accounts/{account_id}/reconcile", statement)
    assert error_of(differs) == (409, "RECONCILE_DIFFERENCE")
    assert differs.json()["error"]["metadata"] == {"difference": "0.10"}
    for missing in ("statementDate", "statementBalance"):
        sent = {name: value for name, value in statement.items() if name != missing}
        refused = await money.post(f"/accounts/{account_id}/reconcile", sent)
        assert error_of(refused, missing) == (400, "VALIDATION_ERROR")
    agreed = await money.post(f"/accounts/{account_id}/reconcile", {**statement, "adjust": True})
    assert agreed.status_code == 200
    assert agreed.json()["data"]["reconciledCount"] == 2
    stub: Any = TransactionServiceStub(channel)
    amount: Any = {"value": "-12.40"}
    request = reconciliation_pb2.ReconcileAccountRequest(
        account_id=account_id, statement_date="2026-01-31", statement_balance=amount
    )
    own = {"metadata": (("x-on-behalf-of", money.user_id),)}
    assert not (await stub.ReconcileAccount(request, **own)).data.reconciled_count
    request.account_id = "0" * 24
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await stub.ReconcileAccount(request, **own)
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND

    gone = await money.delete(f"/accounts/{account_id}", withTransactions="true")
    assert gone.is_success
    assert (await money.get("/transactions")).json()["data"]["transactions"] == []


async def test_over_grpc(channel: grpc.aio.Channel, money: Money) -> None:
    stub: Any = AccountServiceStub(channel)
    own = {"metadata": (("x-on-behalf-of", money.user_id),)}
    made = (await stub.CreateAccount(pb.CreateAccountRequest(**PURSE), **own)).data
    opening: Any = {"value": "7.5"}
    request = pb.UpdateAccountRequest(account_id=made.account_id, opening_balance=opening)
    changed = (await stub.UpdateAccount(request, **own)).data
    assert (changed.balance.value, changed.balance.currency) == ("7.50", "INR")
    of = {"account_id": made.account_id}
    read = (await stub.GetAccount(rpc.GetAccountRequest(**of), **own)).data
    assert (read.balance, read.balances.current) == (changed.balance, changed.balance)
    listed = (await stub.ListAccounts(rpc.ListAccountsRequest(), **own)).data.accounts
    assert list(listed) == [changed]
    balance = await stub.GetAccountBalance(rpc.GetAccountBalanceRequest(**of), **own)
    assert balance.data.balance.value == "7.50"
    await stub.DeleteAccount(pb.DeleteAccountRequest(**of), **own)
    with pytest.raises(grpc.aio.AioRpcError) as gone:
        await stub.GetAccount(rpc.GetAccountRequest(**of), **own)
    assert gone.value.code() is grpc.StatusCode.NOT_FOUND


async def test_anothers_is_as_unknown(
    rest: httpx.AsyncClient, channel: grpc.aio.Channel, money: Money
) -> None:
    made = await money.made("/accounts", PURSE)
    other = f"{money.user_id[:40]}_other"
    await steps.create_user(rest, other)
    account_id, own = made["accountId"], on_behalf(other)
    with_all: Any = {"params": {"withTransactions": "true"}, **own}
    replies = [
        await rest.get(f"/accounts/{account_id}", **own),
        await rest.get(f"/accounts/{account_id}/balance", **own),
        await rest.put(f"/accounts/{account_id}", json={"name": "Mine"}, **own),
        await rest.delete(f"/accounts/{account_id}", **with_all),
        await rest.post(f"/accounts/{account_id}/stream", json=STREAM, **own),
        await rest.delete(f"/accounts/{account_id}/stream", **own),
        await rest.post(f"/accounts/{account_id}/reconcile", json=STATEMENT, **own),
    ]
    assert {error_of(reply) for reply in replies} == {(404, "ACCOUNT_NOT_FOUND")}
    stub: Any = AccountServiceStub(channel)
    behalf, of = {"metadata": (("x-on-behalf-of", other),)}, {"account_id": account_id}
    for name, request in (
        ("GetAccount", rpc.GetAccountRequest(**of)),
        ("GetAccountBalance", rpc.GetAccountBalanceRequest(**of)),
        ("UpdateAccount", pb.UpdateAccountRequest(**of, name="Mine")),
        ("DeleteAccount", pb.DeleteAccountRequest(**of)),
        (
            "AttachStream",
            streams_pb.AttachStreamRequest(**of, connector_id="0" * 24, stream="bank:X"),
        ),
        ("DetachStream", streams_pb.DetachStreamRequest(**of)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await getattr(stub, name)(request, **behalf)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert (await money.get(f"/accounts/{account_id}")).json()["data"].items() >= made.items()
    # Nobody at all: a key names the user it acts for.
    assert (await rest.get("/accounts")).status_code == 401


async def test_they_are_exported_and_go_with_their_user(
    rest: httpx.AsyncClient, money: Money, stack: Stack
) -> None:
    purse = await money.made("/accounts", PURSE)
    lines = (await rest.get(f"/users/{money.user_id}/export")).text.splitlines()
    assert sum('"category"' in line for line in lines[:-1]) == 16
    assert sum(purse["accountId"] in line for line in lines) == 1
    async with database(stack) as documents:
        user = await documents["users"].find_one({"userId": money.user_id})
        assert user is not None
        owned = {"owner": user["_id"]}
        assert await documents["data_keys"].count_documents({"user": str(user["_id"])}) == 1
        assert (await rest.delete(f"/users/{money.user_id}")).is_success
        assert await documents["data_keys"].count_documents({"user": str(user["_id"])}) == 0

        async def erased() -> bool:
            left = [
                await documents[name].count_documents(owned) for name in ("accounts", "categories")
            ]
            return left == [0, 0]

        await steps.eventually(erased, "the erasure")
    await steps.create_user(rest, money.user_id)
    assert (await money.get("/accounts")).json()["data"] == {"accounts": []}


async def test_nothing_that_a_person_wrote_is_readable(money: Money, stack: Stack) -> None:
    canary = "Canary Islands Fund"
    made = await money.made("/accounts", {
        **PURSE, "name": canary, "institution": canary, "openingBalance": {"value": "731926.45"},
    })  # fmt: skip
    await money.made("/categories", {"name": canary, "type": "income"})
    async with database(stack) as documents:
        for name in await documents.list_collection_names():
            text = str(await documents[name].find().to_list(None))
            assert canary not in text
            assert "73192645" not in text.replace(made["accountId"], "")
