"""Transactions over REST: each call, and each error once."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.e2e import connector_steps as steps
from tests.e2e.money_steps import Money, error_of

AMOUNT = {"value": "450.00"}
DAY = "2026-11-03"


@pytest.fixture
async def money(rest: httpx.AsyncClient, new_id: str) -> Money:
    await steps.create_user(rest, new_id)
    return Money(rest, new_id)


async def account(money: Money, name: str = "Purse", **others: Any) -> str:
    made = await money.made("/accounts", {"name": name, "type": "cash", **others})
    return str(made["accountId"])


async def category(money: Money, name: str, type_: str = "expense", **others: Any) -> str:
    made = await money.made("/categories", {"name": name, "type": type_, **others})
    return str(made["id"])


def expense(account_id: str, value: str = "450.00", **others: Any) -> dict[str, Any]:
    return {
        "accountId": account_id,
        "kind": "expense",
        "amount": {"value": value},
        "date": DAY,
        **others,
    }


async def test_one_by_one(money: Money) -> None:
    purse, vet = await account(money), await category(money, "Vet bills")
    sent = expense(
        purse, payee=" Cafe ", description="Lunch", notes="n", tags=["Team"], categoryId=vet,
        externalId="row-1", foreignAmount={"value": "5.00", "currency": "EUR"},
        occurredAt="2026-11-03T10:30:00Z", excluded=True, status="reconciled",
    )  # fmt: skip
    made = await money.made("/transactions", sent)
    inr = {"value": "450.00", "currency": "INR"}
    assert made == {
        **sent, "id": made["id"], "direction": "out", "amount": inr, "payee": "Cafe", "splits": [],
        "origins": [{"source": "manual"}], "etag": made["etag"], "createdAt": made["createdAt"],
        "updatedAt": made["createdAt"], "occurredAt": made["occurredAt"],
    }  # fmt: skip
    path = f"/transactions/{made['id']}"
    got = await money.get(f"/transactions/{made['id']}")
    assert (got.json()["data"], got.headers["etag"]) == (made, f'W/"{made["etag"]}"')
    balance = (await money.get(f"/accounts/{purse}")).json()["data"]["balance"]
    assert balance["value"] == "-450.00"

    put = await money.put(path, {"notes": "x", "updateMask": "tags,description"})
    shown = put.json()
    assert shown["message"] == "Transaction updated successfully"
    left = {name: value for name, value in made.items() if name != "description"}
    assert shown["data"] == {
        **left, "notes": "x", "tags": [], "etag": shown["data"]["etag"],
        "updatedAt": shown["data"]["updatedAt"],
    }  # fmt: skip
    assert (await money.put(path, {"tags": []})).is_success
    locked = await money.put(path, {"amount": {"value": "1.00"}})
    assert error_of(locked) == (409, "TRANSACTION_RECONCILED")
    stale = await money.put(path, {"notes": "y", "etag": made["etag"]})
    assert error_of(stale) == (412, "ETAG_MISMATCH")
    assert error_of(await money.put(path, {})) == (400, "VALIDATION_ERROR")
    for mask in ("amount", "amount.value", "foreignAmount.value"):
        assert error_of(await money.put(path, {"updateMask": mask}), "updateMask")[0] == 400
    again = await money.post("/transactions", expense(purse, externalId="row-1"))
    assert error_of(again) == (409, "TRANSACTION_EXISTS")
    assert again.json()["error"]["metadata"] == {"transactionId": made["id"]}
    assert error_of(await money.delete(path)) == (409, "TRANSACTION_RECONCILED")
    gone = await money.delete(path, unlock="true")
    assert gone.json()["message"] == "Transaction deleted successfully"
    for reply in (
        await money.get(path),
        await money.put(path, {"notes": "z"}),
        await money.delete(path),
    ):
        assert error_of(reply) == (404, "TRANSACTION_NOT_FOUND")
    back = await money.post(f"{path}/restore", {})
    assert (back.status_code, back.json()["data"]["externalId"]) == (200, "row-1")
    assert error_of(await money.post(f"/transactions/{'0' * 24}/restore", {}))[0] == 404


async def test_amounts_and_dates_that_are_none(money: Money) -> None:
    purse, yen = await account(money), await account(money, "Yen", currency="JPY")
    won = await account(money, "Won", currency="KRW", type="bank")
    for account_id, value in (
        (purse, "1.005"),
        (yen, "1.5"),
        (purse, "1e3"),
        (purse, "+5"),
        (purse, "0"),
    ):
        refused = await money.post("/transactions", expense(account_id, value))
        assert error_of(refused, "amount.value") == (400, "VALIDATION_ERROR"), value
    number = await money.post("/transactions", {**expense(purse), "amount": {"value": 10.5}})
    assert error_of(number, "amount.value")[0] == 400
    made = await money.made("/transactions", expense(won, "500000"))
    assert made["amount"] == {"value": "500000", "currency": "KRW"}
    for wrong in ("2026-02-30", "1899-12-31", "2999-01-01", "3 May"):
        refused = await money.post("/transactions", expense(purse, date=wrong))
        assert error_of(refused, "date")[0] == 400
    day = await money.post("/transactions", expense(purse, occurredAt="2026-11-03"))
    assert error_of(day, "occurredAt")[0] == 400
    unknown = await money.post("/transactions", expense("0" * 24))
    assert error_of(unknown) == (404, "ACCOUNT_NOT_FOUND")
    category_id = await money.post("/transactions", expense(purse, categoryId="0" * 24))
    assert error_of(category_id) == (404, "CATEGORY_NOT_FOUND")
    gone = await money.made("/transactions", expense(purse))
    await money.delete(f"/transactions/{gone['id']}")
    await money.put(f"/accounts/{purse}", {"archived": True})
    for path, body in (
        ("/transactions", expense(purse)),
        (f"/transactions/{gone['id']}/restore", {}),
    ):
        assert error_of(await money.post(path, body)) == (409, "ACCOUNT_ARCHIVED")


async def test_splits(money: Money) -> None:
    purse = await account(money)
    values = ("110.11", "209.74", "104.87", "89.14", "10.49")
    splits = [{"amount": {"value": value}} for value in values]
    refused = await money.post("/transactions", expense(purse, "524.34", splits=splits))
    assert error_of(refused, "splits")[0] == 400
    assert "add up to 524.35, 0.01 more than 524.34" in refused.text
    made = await money.made("/transactions", expense(purse, "524.35", splits=splits))
    assert [each["amount"]["value"] for each in made["splits"]] == list(values)


async def test_transfers_and_matching(money: Money) -> None:
    purse, card, third = [await account(money, name) for name in ("Purse", "Card", "Third")]
    sent = {
        **expense(purse, "100.00"),
        "kind": "transfer",
        "toAccountId": card,
        "toDate": "2026-11-04",
    }
    leg = await money.made("/transactions", sent)
    assert leg["transfer"] == {
        "id": leg["transfer"]["id"], "counterpartId": leg["transfer"]["counterpartId"],
        "accountId": card, "amount": leg["amount"], "date": "2026-11-04",
    }  # fmt: skip
    parted = await money.delete(f"/transactions/{leg['id']}/match")
    assert parted.json()["data"]["transfer"] == {"id": leg["transfer"]["id"]}
    suggested = (await money.get("/transactions/transfer-suggestions")).json()["data"]
    assert suggested == {"suggestions": []}, "what was parted is never suggested"
    out = await money.made("/transactions", expense(third, "75.00"))
    income = {**expense(card, "75.00", date="2026-11-05"), "kind": "income"}
    inflow = await money.made("/transactions", income)
    found = (await money.get("/transactions/transfer-suggestions")).json()["data"]["suggestions"]
    assert [(each["outflow"]["id"], each["inflow"]["id"]) for each in found] == [
        (out["id"], inflow["id"])
    ]
    path = f"/transactions/{out['id']}/match"
    wrong = await money.post(path, {"counterpartId": leg["id"]})
    assert error_of(wrong, "counterpartId")[0] == 400
    matched = await money.post(path, {"counterpartId": inflow["id"]})
    assert matched.json()["data"]["transfer"]["counterpartId"] == inflow["id"]
    assert error_of(await money.post(path, {"counterpartId": "0" * 24}))[0] == 404


async def test_many_at_once(money: Money) -> None:
    purse = await account(money)
    new = [expense(purse, f"{number}.00", externalId=f"r{number}") for number in range(1, 4)]
    made = await money.post("/transactions/bulk", {"transactions": new})
    assert made.status_code == 200
    shown = made.json()["data"]["transactions"]
    ids = [each["id"] for each in shown]
    wrong = [new[0], {**new[1], "amount": {"value": "0"}}]
    refused = await money.post("/transactions/bulk", {"transactions": wrong})
    assert error_of(refused, "transactions[1].amount.value")[0] == 400
    each = await money.post("/transactions/bulk", {"transactions": wrong, "atomic": False})
    results = each.json()["data"]["results"]
    assert [(one["index"], one["error"]["code"]) for one in results] == [
        (0, "TRANSACTION_EXISTS"),
        (1, "VALIDATION_ERROR"),
    ]
    skipped = await money.post("/transactions/bulk", {"transactions": new, "onDuplicate": "skip"})
    assert [one["id"] for one in skipped.json()["data"]["transactions"]] == ids
    put = await money.put("/transactions/bulk", {"ids": ids, "set": {"tags": ["x"]}})
    assert [one["tags"] for one in put.json()["data"]["transactions"]] == [["x"]] * 3
    masked = {"ids": ids, "set": {"notes": "n"}, "updateMask": "externalId"}
    put = await money.put("/transactions/bulk", masked)
    assert {
        (each["notes"], "externalId" in each) for each in put.json()["data"]["transactions"]
    } == {("n", False)}
    put = await money.put("/transactions/bulk", {"ids": ids, "updateMask": "notes"})
    assert not any("notes" in each for each in put.json()["data"]["transactions"])
    updates = [{"id": ids[0], "tags": []}, {"id": ids[1], "status": "reconciled"}]
    put = await money.put("/transactions/bulk", {"updates": updates})
    shown = put.json()["data"]["transactions"]
    assert (shown[0]["tags"], shown[1]["status"]) == ([], "reconciled")
    for body, field in (
        ({"ids": ids}, "set"),
        ({"set": {"notes": "x"}}, "ids"),
        ({"ids": ids, "set": {"etag": "1"}}, "set.etag"),
        ({"ids": ids, "set": {"updateMask": "amount.value"}}, "set.updateMask"),
        ({"ids": ids, "updateMask": "amount.value"}, "updateMask"),
        ({"updates": updates, "updateMask": "notes"}, "updates"),
        ({"updates": [{"notes": "x"}]}, "updates[0].id"),
        ({"updates": [{"id": ids[0]}]}, "updates[0]"),
        ({"updates": updates, "ids": ids, "set": {"notes": "x"}}, "updates"),
    ):
        refused = await money.put("/transactions/bulk", body)
        assert error_of(refused, field)[0] == 400, refused.text
    locked = await money.request("DELETE", "/transactions/bulk", {"ids": ids})
    assert error_of(locked) == (409, "TRANSACTION_RECONCILED")
    assert locked.json()["error"]["metadata"] == {"index": "1"}
    gone = await money.request("DELETE", "/transactions/bulk", {"ids": ids, "unlock": True})
    assert gone.json()["message"] == "Transactions deleted successfully"
    assert (await money.get("/transactions")).json()["data"]["transactions"] == []


async def test_lists(money: Money) -> None:
    purse, card = (
        await account(money),
        await account(money, "Card", openingBalance={"value": "1000"}),
    )
    pets = await category(money, "Pets at home")
    vet = await category(money, "Vet", parentId=pets)
    days = ("2026-11-01", "2026-11-02", "2026-11-02", "2026-11-05")
    made = [
        await money.made(
            "/transactions", expense(card, f"{number}0.00", date=day, tags=[f"T{number}"])
        )
        for number, day in enumerate(days, 1)
    ]
    other = await money.made(
        "/transactions",
        expense(purse, "7.00", payee="Café Noir", categoryId=vet, date="2026-11-03"),
    )
    ids = [each["id"] for each in made]

    async def listed(path: str = "/transactions", **query: Any) -> list[str]:
        data = (await money.get(path, **query)).json()["data"]
        return [each["id"] for each in data["transactions"]]

    # Of one day by id, which two workers do not give out in the order of the calls.
    in_order = sorted([*made, other], key=lambda each: (each["date"], each["id"]), reverse=True)
    newest = [each["id"] for each in in_order]
    assert await listed() == newest
    assert await listed(sort="date") == newest[::-1]
    assert await listed(accountId=f"{purse},{card}") == newest
    assert await listed(accountId=purse) == await listed(categoryId=pets) == [other["id"]]
    assert await listed(categoryId="none") == [each for each in newest if each != other["id"]]
    assert await listed(categoryId=f"none,{vet}", kind="expense", status="posted") == newest
    assert await listed(kind="income") == await listed(status="pending") == []
    assert await listed(**{"from": "2026-11-02", "to": "2026-11-03"}) == newest[1:4]
    assert await listed(tag="t1") == [ids[0]]
    assert await listed(q="CAFÉ n") == [other["id"]]
    assert await listed(minAmount="10", maxAmount="20.00") == [ids[1], ids[0]]
    first = (await money.get("/transactions", limit=2)).json()["data"]
    token = first["pagination"]["nextPageToken"]
    assert await listed(limit=3, pageToken=token) == newest[2:]
    wrong = await money.get("/transactions", limit=2, pageToken=token, kind="income")
    assert error_of(wrong, "pageToken")[0] == 400
    for short in ("x", " x "):
        assert error_of(await money.get("/transactions", q=short), "q")[0] == 400
    backward: Any = {"from": "2026-11-03", "to": "2026-11-02"}
    backwards = await money.get("/transactions", **backward)
    assert error_of(backwards, "from")[0] == 400

    of_account = (await money.get(f"/accounts/{card}/transactions")).json()["data"]["transactions"]
    balances = [each["balanceAfter"]["value"] for each in of_account]
    assert balances == ["900.00", "940.00", "970.00" if ids[1] < ids[2] else "960.00", "990.00"]
    filtered = await money.get(f"/accounts/{card}/transactions", q="zz")
    assert filtered.json()["data"]["transactions"] == []
    unknown = await money.get(f"/accounts/{'0' * 24}/transactions")
    assert error_of(unknown) == (404, "ACCOUNT_NOT_FOUND")

    since = first["rev"]
    await money.delete(f"/transactions/{ids[0]}")
    changed = (await money.get("/transactions", changedSince=since)).json()["data"]
    assert changed["transactions"] == [
        {"id": ids[0], "deleted": True, "splits": [], "tags": [], "origins": []}
    ]
    both = await money.get("/transactions", changedSince=0, kind="income")
    assert error_of(both, "kind")[0] == 400
