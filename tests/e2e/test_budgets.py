"""Budgets over REST and over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
import httpx
import pytest
from finlink.money.v1 import budget_analysis_pb2 as analysis_pb
from finlink.money.v1 import budget_changes_pb2 as pb
from finlink.money.v1.budget_service_pb2_grpc import BudgetServiceStub
from finlink.types.v1 import money_pb2

from tests.e2e import connector_steps as steps
from tests.e2e.money_steps import Money, error_of, status_of
from tests.e2e.test_transactions import account, category, expense

PLAN: dict[str, Any] = {"name": "Household", "period": "monthly", "startDate": "2026-09-25"}


@pytest.fixture
async def money(rest: httpx.AsyncClient, new_id: str) -> Money:
    await steps.create_user(rest, new_id)
    return Money(rest, new_id)


async def test_over_rest(money: Money) -> None:
    pets, wage = await category(money, "Pets at home"), await category(money, "Tips", "income")
    made = await money.made("/budgets", PLAN)
    assert made == {
        **PLAN, "id": made["id"], "currency": "INR", "rollover": "none", "accountIds": [],
        "archived": False, "items": [], "etag": made["etag"], "createdAt": made["createdAt"],
        "updatedAt": made["createdAt"],
    }  # fmt: skip
    path = f"/budgets/{made['id']}"
    got = await money.get(f"/budgets/{made['id']}")
    assert (got.json()["data"], got.headers["etag"]) == (made, f'W/"{made["etag"]}"')
    sent = {"categoryId": pets, "amount": {"value": "500.00"}, "alertPercents": [90, 50]}
    item = await money.made(f"{path}/items", sent)
    inr = {"value": "500.00", "currency": "INR"}
    assert item == {
        **sent,
        "id": item["id"],
        "amount": inr,
        "alertPercents": [50, 90],
        "etag": item["etag"],
    }
    assert error_of(await money.post(f"/budgets/{made['id']}/items", sent)) == (
        409,
        "BUDGET_ITEM_EXISTS",
    )
    income = await money.post(f"{path}/items", {**sent, "categoryId": wage})
    assert error_of(income, "categoryId")[0] == 400
    unknown = await money.post(f"{path}/items", {**sent, "categoryId": "0" * 24})
    assert error_of(unknown) == (404, "CATEGORY_NOT_FOUND")
    items = (await money.get(f"/budgets/{made['id']}/items")).json()["data"]
    assert items == {"items": [item]}
    used = await money.delete(f"/categories/{pets}")
    assert used.json()["error"]["metadata"] == {"budgetItems": "1"}
    place = f"{path}/items/{item['id']}"
    put = await money.put(
        f"/budgets/{made['id']}/items/{item['id']}",
        {"amount": {"value": "600"}, "alertPercents": [], "rollover": "all"},
    )
    changed = put.json()["data"]
    assert (changed["amount"]["value"], changed["alertPercents"], changed["rollover"]) == (
        "600.00",
        [],
        "all",
    )
    assert (
        error_of(await money.put(place, {"updateMask": "rollover", "etag": item["etag"]}))[0] == 412
    )
    assert "rollover" not in (await money.put(place, {"updateMask": "rollover"})).json()["data"]
    negative = await money.put(place, {"amount": {"value": "-1"}})
    assert error_of(negative, "amount.value")[0] == 400
    for reply in (
        await money.put(f"{path}/items/{'0' * 24}", {"rollover": "all"}),
        await money.delete(f"{path}/items/{'0' * 24}"),
    ):
        assert error_of(reply) == (404, "BUDGET_ITEM_NOT_FOUND")
    put = await money.put(
        f"/budgets/{made['id']}", {"name": "Home", "endDate": "2026-12-24", "archived": True}
    )
    assert put.json()["data"]["endDate"] == "2026-12-24"
    assert (await money.get("/budgets")).json()["data"] == {"budgets": []}
    archived = (await money.get("/budgets", archived="true")).json()["data"]["budgets"]
    assert [each["name"] for each in archived] == ["Home"]
    assert "endDate" not in (await money.put(path, {"updateMask": "endDate"})).json()["data"]
    assert error_of(await money.put(path, {"endDate": "2026-01-01"}), "endDate")[0] == 400
    assert error_of(await money.put(path, {"accountIds": ["0" * 24]})) == (404, "ACCOUNT_NOT_FOUND")
    assert error_of(await money.put(path, {}))[0] == 400
    once = await money.post("/budgets", {**PLAN, "period": "once"})
    assert error_of(once, "endDate")[0] == 400
    assert error_of(await money.delete(path, etag="0")) == (412, "ETAG_MISMATCH")
    assert (await money.delete(f"/budgets/{made['id']}/items/{item['id']}")).json()[
        "message"
    ] == "Budget item deleted successfully"
    assert (await money.delete(f"/budgets/{made['id']}")).json()[
        "message"
    ] == "Budget deleted successfully"
    for reply in (
        await money.get(path), await money.put(path, {"name": "x"}), await money.delete(path),
        await money.get(f"{path}/items"), await money.post(f"{path}/items", sent),
        await money.get(f"{path}/analysis"),
    ):  # fmt: skip
        assert error_of(reply) == (404, "BUDGET_NOT_FOUND")


async def test_analysis(money: Money) -> None:
    purse, pets = await account(money), await category(money, "Pets at home")
    vet = await category(money, "Vet", parentId=pets)
    items = [{"categoryId": pets, "amount": {"value": "500.00"}}]
    made = await money.made("/budgets", {**PLAN, "rollover": "surplus", "items": items})
    path = f"/budgets/{made['id']}/analysis"
    await money.made("/transactions", expense(purse, "500.00", categoryId=vet, date="2026-10-20"))
    refund = {**expense(purse, "200.00", categoryId=pets, date="2026-10-24"), "kind": "refund"}
    await money.made("/transactions", refund)
    await money.made("/transactions", expense(purse, "30.00", date="2026-11-01"))
    query: Any = {"date": "2026-11-03", "periods": 2}
    found = (await money.get(f"/budgets/{made['id']}/analysis", **query)).json()["data"]
    newest, before = found["periods"]
    assert before["period"] == {"from": "2026-09-25", "to": "2026-10-24", "daysLeft": 0}
    (item,) = before["items"]
    assert (item["spent"]["value"], item["remaining"]["value"]) == ("300.00", "200.00")
    assert (item["usedPercent"], item["status"]) == ("60.0", "ok")
    assert newest["items"][0]["carriedIn"]["value"] == "200.00"
    assert newest["unbudgeted"] == [{"spent": {"value": "30.00", "currency": "INR"}}]
    assert newest["totals"]["available"]["value"] == "700.00"
    await money.delete(f"/categories/{vet}", moveTo="none")
    moved = (await money.get(path, **query)).json()["data"]["periods"][1]
    assert moved["items"][0]["spent"]["value"] == "-200.00"
    assert moved["unbudgeted"][0]["spent"]["value"] == "500.00"


async def test_of_categories_that_meet_everything_is_read_again(money: Money) -> None:
    """Budgets are other ones, and nothing that shows a category is as it was."""
    pets = await category(money, "Pets at home")
    vet = await category(money, "Vet", parentId=pets)
    items = [
        {"categoryId": pets, "amount": {"value": "500.00"}},
        {"categoryId": vet, "amount": {"value": "20.00"}},
    ]
    made = await money.made("/budgets", {**PLAN, "items": items})
    path = f"/budgets/{made['id']}"
    purse = await account(money)
    spent = await money.made("/transactions", expense(purse, "5.00", categoryId=vet))
    showing = [path, f"/transactions/{spent['id']}", f"/accounts/{purse}"]
    tags = [(await money.get(each)).headers["etag"] for each in showing]
    await money.delete(f"/categories/{vet}", moveTo=pets)
    replies = [
        await money.get(each, headers={"if-none-match": tag})
        for each, tag in zip(showing, tags, strict=True)
    ]
    after, transaction, details = (reply.json()["data"] for reply in replies)
    assert transaction["categoryId"] == pets
    balance = {"value": "-5.00", "currency": "INR"}
    assert details["transactions"] == [{**transaction, "balanceAfter": balance}]
    for each, reply in zip(showing, replies, strict=True):
        known = {"if-none-match": reply.headers["etag"]}
        assert (await money.get(each, headers=known)).status_code == 304
    for place, body in ((2, {"name": "Other"}), (1, {"notes": "x"})):
        named = {"if-match": replies[place].headers["etag"]}
        assert (await money.put(showing[place], body, headers=named)).is_success
    (item,) = after["items"]
    assert (item["id"], item["amount"]["value"]) == (made["items"][0]["id"], "520.00")
    assert item["etag"] == after["etag"] != made["etag"]
    stale = await money.put(path, {"name": "x", "etag": made["etag"]})
    assert error_of(stale) == (412, "ETAG_MISMATCH")


async def test_an_amount_leaves_periods_that_ended(money: Money) -> None:
    pets = await category(money, "Pets at home")
    plan = {**PLAN, "startDate": "2020-01-01", "endDate": "2020-02-29"}
    items = [{"categoryId": pets, "amount": {"value": "500.00"}}]
    made = await money.made("/budgets", {**plan, "items": items})
    path = f"/budgets/{made['id']}"
    item = f"{path}/items/{made['items'][0]['id']}"
    put = await money.put(item, {"amount": {"value": "600"}})
    assert put.json()["data"]["amount"]["value"] == "600.00"
    for end in ("2020-02-29", "2020-03-10"):
        await money.put(path, {"endDate": end})
        query: Any = {"date": end, "periods": 24}
        periods = (await money.get(f"{path}/analysis", **query)).json()["data"]["periods"]
        assert {each["items"][0]["budgeted"]["value"] for each in periods} == {"500.00"}
    for place, mask in ((item, "amount.value"), (item, "amount"), (path, "startDate")):
        refused = await money.put(place, {"updateMask": mask})
        assert error_of(refused, "updateMask") == (400, "VALIDATION_ERROR")


async def test_another_user_s_are_as_unknown(
    channel: grpc.aio.Channel, money: Money, new_id: str
) -> None:
    purse, pets = await account(money), await category(money, "Pets at home")
    items: Any = [{"categoryId": pets, "amount": {"value": "500.00"}}]
    made = await money.made("/budgets", {**PLAN, "items": items})
    other = Money(money.rest, f"{new_id}_2")
    await steps.create_user(money.rest, other.user_id)
    own = await other.made("/budgets", PLAN)
    path, item_id = f"/budgets/{made['id']}", made["items"][0]["id"]
    replies = [
        await other.get(path), await other.put(path, {"name": "x"}), await other.delete(path),
        await other.get(f"{path}/items"), await other.post(f"{path}/items", items[0]),
        await other.put(f"{path}/items/{item_id}", {"rollover": "all"}),
        await other.delete(f"{path}/items/{item_id}"), await other.get(f"{path}/analysis"),
    ]  # fmt: skip
    assert {error_of(reply) for reply in replies} == {(404, "BUDGET_NOT_FOUND")}
    within = f"/budgets/{own['id']}"
    for reply, code in (
        (
            await other.put(f"{within}/items/{item_id}", {"rollover": "all"}),
            "BUDGET_ITEM_NOT_FOUND",
        ),
        (await other.post(f"{within}/items", items[0]), "CATEGORY_NOT_FOUND"),
        (await other.post("/budgets", {**PLAN, "items": items}), "CATEGORY_NOT_FOUND"),
        (await other.put(within, {"accountIds": [purse]}), "ACCOUNT_NOT_FOUND"),
    ):
        assert error_of(reply) == (404, code)
    stub: Any = BudgetServiceStub(channel)
    behalf: Any = {"metadata": (("x-on-behalf-of", other.user_id),)}
    of, item = {"id": made["id"]}, {"id": made["id"], "item_id": item_id}
    amount = money_pb2.Money(value="1.00")
    for call in (
        stub.GetBudget(pb.GetBudgetRequest(**of), **behalf),
        stub.UpdateBudget(pb.UpdateBudgetRequest(**of, name="x"), **behalf),
        stub.DeleteBudget(pb.DeleteBudgetRequest(**of), **behalf),
        stub.ListBudgetItems(pb.ListBudgetItemsRequest(**of), **behalf),
        stub.CreateBudgetItem(
            pb.CreateBudgetItemRequest(**of, category_id=pets, amount=amount), **behalf
        ),
        stub.UpdateBudgetItem(pb.UpdateBudgetItemRequest(**item, rollover="all"), **behalf),
        stub.DeleteBudgetItem(pb.DeleteBudgetItemRequest(**item), **behalf),
        stub.AnalyzeBudget(analysis_pb.AnalyzeBudgetRequest(**of), **behalf),
    ):
        assert await status_of(call) is grpc.StatusCode.NOT_FOUND
    assert (await other.get("/budgets")).json()["data"]["budgets"] == [own]
    assert (await money.get(path)).json()["data"] == made


async def test_over_grpc(channel: grpc.aio.Channel, money: Money, new_id: str) -> None:
    pets = await category(money, "Pets at home")
    stub: Any = BudgetServiceStub(channel)
    own: Any = {"metadata": (("x-on-behalf-of", new_id),)}
    amount = money_pb2.Money(value="500.00")
    made = (await stub.CreateBudget(pb.CreateBudgetRequest(
        name="Plan", period="weekly", start_date="2026-11-02",
    ), **own)).data  # fmt: skip
    new = pb.CreateBudgetItemRequest(id=made.id, category_id=pets, amount=amount)
    item = (await stub.CreateBudgetItem(new, **own)).data
    assert list(item.alert_percents) == [80, 100]
    change = pb.UpdateBudgetItemRequest(id=made.id, item_id=item.id, rollover="surplus")
    assert (await stub.UpdateBudgetItem(change, **own)).data.rollover == "surplus"
    listed = (await stub.ListBudgetItems(pb.ListBudgetItemsRequest(id=made.id), **own)).data
    assert [each.id for each in listed.items] == [item.id]
    renamed = pb.UpdateBudgetRequest(id=made.id, name="Other")
    assert (await stub.UpdateBudget(renamed, **own)).data.name == "Other"
    assert (await stub.GetBudget(pb.GetBudgetRequest(id=made.id), **own)).data.name == "Other"
    assert len((await stub.ListBudgets(pb.ListBudgetsRequest(), **own)).data.budgets) == 1
    request = analysis_pb.AnalyzeBudgetRequest(id=made.id, date="2026-11-05")
    (period,) = (await stub.AnalyzeBudget(request, **own)).data.periods
    assert (period.period.from_date, period.period.to_date) == ("2026-11-02", "2026-11-08")
    await stub.DeleteBudgetItem(pb.DeleteBudgetItemRequest(id=made.id, item_id=item.id), **own)
    await stub.DeleteBudget(pb.DeleteBudgetRequest(id=made.id), **own)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.GetBudget(pb.GetBudgetRequest(id=made.id), **own)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
