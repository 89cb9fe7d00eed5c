"""Transactions over gRPC, and another user's ids: as unknown, at every RPC and over both transports."""

from __future__ import annotations

from typing import Any

import grpc
import httpx
import pytest
from finlink.money.v1 import reconciliation_pb2
from finlink.money.v1 import transaction_bulk_pb2 as bulk_pb
from finlink.money.v1 import transaction_changes_pb2 as changes_pb
from finlink.money.v1 import transaction_lists_pb2 as lists_pb
from finlink.money.v1 import transaction_pb2 as pb
from finlink.money.v1.transaction_service_pb2_grpc import TransactionServiceStub
from finlink.types.v1 import money_pb2

from tests.e2e import connector_steps as steps
from tests.e2e.money_steps import Money, error_of, status_of
from tests.e2e.test_transactions import account, expense

AMOUNT = money_pb2.Money(value="12.50")


async def test_over_grpc(channel: grpc.aio.Channel, rest: httpx.AsyncClient, new_id: str) -> None:
    await steps.create_user(rest, new_id)
    money = Money(rest, new_id)
    purse, card = await account(money), await account(money, "Card")
    stub: Any = TransactionServiceStub(channel)
    own: Any = {"metadata": (("x-on-behalf-of", new_id),)}
    new = pb.CreateTransactionRequest(
        account_id=purse, kind="expense", amount=AMOUNT, date="2026-11-03"
    )
    made = (await stub.CreateTransaction(new, **own)).data
    assert (made.amount.value, made.direction) == ("12.50", "out")
    got = await stub.GetTransaction(changes_pb.GetTransactionRequest(id=made.id), **own)
    assert got.data == made
    change = changes_pb.UpdateTransactionRequest(id=made.id, notes="x", etag=made.etag)
    changed = (await stub.UpdateTransaction(change, **own)).data
    assert (changed.notes, changed.etag > made.etag) == ("x", True)
    other = pb.CreateTransactionRequest(
        account_id=card, kind="income", amount=AMOUNT, date="2026-11-03"
    )
    many = bulk_pb.BulkCreateTransactionsRequest(transactions=[other])
    inflow = (await stub.BulkCreateTransactions(many, **own)).data.transactions[0]
    found = await stub.ListTransferSuggestions(lists_pb.ListTransferSuggestionsRequest(), **own)
    assert [each.inflow.id for each in found.data.suggestions] == [inflow.id]
    pair = changes_pb.MatchTransactionRequest(id=made.id, counterpart_id=inflow.id)
    assert (await stub.MatchTransaction(pair, **own)).data.transfer.account_id == card
    part = changes_pb.UnmatchTransactionRequest(id=made.id)
    assert not (await stub.UnmatchTransaction(part, **own)).data.transfer.counterpart_id
    updates = bulk_pb.BulkUpdateTransactionsRequest(
        ids=[made.id, inflow.id], set=changes_pb.UpdateTransactionRequest(tags=["a"])
    )
    shown = (await stub.BulkUpdateTransactions(updates, **own)).data.transactions
    assert [list(each.tags) for each in shown] == [["a"], ["a"]]
    listed = await stub.ListTransactions(lists_pb.ListTransactionsRequest(tag="A"), **own)
    assert len(listed.data.transactions) == 2
    of_card = lists_pb.ListAccountTransactionsRequest(account_id=card)
    (only,) = (await stub.ListAccountTransactions(of_card, **own)).data.transactions
    assert only.balance_after.value == "12.50"
    await stub.DeleteTransaction(changes_pb.DeleteTransactionRequest(id=made.id), **own)
    await stub.BulkDeleteTransactions(bulk_pb.BulkDeleteTransactionsRequest(ids=[inflow.id]), **own)
    again = changes_pb.RestoreTransactionRequest(id=made.id)
    assert (await stub.RestoreTransaction(again, **own)).data.notes == "x"


async def test_an_update_says_of_what(
    channel: grpc.aio.Channel, rest: httpx.AsyncClient, new_id: str
) -> None:
    await steps.create_user(rest, new_id)
    stub: Any = TransactionServiceStub(channel)
    own: Any = {"metadata": (("x-on-behalf-of", new_id),)}
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.UpdateTransaction(changes_pb.UpdateTransactionRequest(notes="x"), **own)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_another_user_s_are_as_unknown(
    channel: grpc.aio.Channel, rest: httpx.AsyncClient, new_id: str
) -> None:
    theirs, mine = Money(rest, new_id), Money(rest, f"{new_id}_2")
    for each in (new_id, f"{new_id}_2"):
        await steps.create_user(rest, each)
    purse, own_purse = await account(theirs), await account(mine)
    made = await theirs.made("/transactions", expense(purse))
    own = await mine.made("/transactions", expense(own_purse))
    path = f"/transactions/{made['id']}"
    calls = (
        await mine.get(path),
        await mine.put(path, {"notes": "x"}),
        await mine.delete(path),
        await mine.post(f"{path}/restore", {}),
        await mine.post(f"{path}/match", {"counterpartId": own["id"]}),
        await mine.post(f"/transactions/{own['id']}/match", {"counterpartId": made["id"]}),
        await mine.delete(f"{path}/match"),
        await mine.put("/transactions/bulk", {"ids": [made["id"]], "set": {"notes": "x"}}),
        await mine.request("DELETE", "/transactions/bulk", {"ids": [made["id"]]}),
        await mine.post(
            "/transactions", {**expense(own_purse), "kind": "refund", "refundOf": made["id"]}
        ),
    )
    for reply in calls:
        assert error_of(reply) == (404, "TRANSACTION_NOT_FOUND")
    for reply in (
        await mine.post("/transactions", expense(purse)),
        await mine.post("/transactions/bulk", {"transactions": [expense(purse)]}),
        await mine.put(f"/transactions/{own['id']}", {"accountId": purse}),
        await mine.get(f"/accounts/{purse}/transactions"),
    ):
        assert error_of(reply) == (404, "ACCOUNT_NOT_FOUND")
    listed = await mine.get("/transactions", accountId=purse)
    assert listed.json()["data"]["transactions"] == []
    stub: Any = TransactionServiceStub(channel)
    behalf: Any = {"metadata": (("x-on-behalf-of", f"{new_id}_2"),)}
    theirs_into = pb.CreateTransactionRequest(account_id=purse, kind="expense", amount=AMOUNT)
    for call in (
        stub.GetTransaction(changes_pb.GetTransactionRequest(id=made["id"]), **behalf),
        stub.UpdateTransaction(
            changes_pb.UpdateTransactionRequest(id=made["id"], notes="x"), **behalf
        ),
        stub.DeleteTransaction(changes_pb.DeleteTransactionRequest(id=made["id"]), **behalf),
        stub.RestoreTransaction(changes_pb.RestoreTransactionRequest(id=made["id"]), **behalf),
        stub.UnmatchTransaction(changes_pb.UnmatchTransactionRequest(id=made["id"]), **behalf),
        stub.MatchTransaction(
            changes_pb.MatchTransactionRequest(id=own["id"], counterpart_id=made["id"]), **behalf
        ),
        stub.BulkUpdateTransactions(
            bulk_pb.BulkUpdateTransactionsRequest(
                ids=[made["id"]], set=changes_pb.UpdateTransactionRequest(notes="x")
            ),
            **behalf,
        ),
        stub.BulkDeleteTransactions(
            bulk_pb.BulkDeleteTransactionsRequest(ids=[own["id"], made["id"]]), **behalf
        ),
        stub.ListAccountTransactions(
            lists_pb.ListAccountTransactionsRequest(account_id=purse), **behalf
        ),
        stub.ReconcileAccount(
            reconciliation_pb2.ReconcileAccountRequest(
                account_id=purse, statement_date="2026-11-30", statement_balance=AMOUNT
            ),
            **behalf,
        ),
        stub.CreateTransaction(theirs_into, **behalf),
        stub.BulkCreateTransactions(
            bulk_pb.BulkCreateTransactionsRequest(transactions=[theirs_into]), **behalf
        ),
    ):
        assert await status_of(call) is grpc.StatusCode.NOT_FOUND
    assert (await mine.get(f"/transactions/{own['id']}")).json()["data"] == own
    assert (await theirs.get(path)).json()["data"] == made
