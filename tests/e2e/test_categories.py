"""Categories over REST and over gRPC."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import httpx
import pytest
from finlink.money.v1 import category_service_pb2 as rpc
from finlink.money.v1.category_service_pb2_grpc import CategoryServiceStub

from tests.domains.money.requests import on_behalf
from tests.e2e import connector_steps as steps
from tests.e2e.money_steps import Money, error_of

PETS: dict[str, Any] = {"name": "Pets", "type": "expense"}


@pytest.fixture
async def money(rest: httpx.AsyncClient, new_id: str) -> Money:
    await steps.create_user(rest, new_id)
    return Money(rest, new_id)


async def test_a_new_user_has_the_usual_ones_once_under_races(money: Money) -> None:
    lists = await asyncio.gather(*(money.get("/categories") for _ in range(8)))
    found = [reply.json()["data"]["categories"] for reply in lists]
    assert all(each == found[0] for each in found)
    assert len(found[0]) == 16
    types = [each["type"] for each in found[0]]
    assert types == ["expense"] * 12 + ["income"] * 4
    incomes = (await money.get("/categories", type="income")).json()["data"]["categories"]
    assert incomes == found[0][12:]
    assert (await money.get("/categories", archived="true")).json()["data"] == {"categories": []}


async def test_over_rest(money: Money) -> None:
    made = await money.made("/categories", PETS)
    assert made == {**made, **PETS, "order": 13, "archived": False}
    taken = await money.post("/categories", {**PETS, "name": " pETS "})
    assert error_of(taken) == (409, "CATEGORY_EXISTS")
    await money.made("/categories", {**PETS, "type": "income"})
    below = await money.made("/categories", {**PETS, "parentId": made["id"], "icon": "paw"})

    deep = await money.post(
        "/categories", {"name": "x", "type": "expense", "parentId": below["id"]}
    )
    assert error_of(deep, "parentId") == (400, "VALIDATION_ERROR")
    other = await money.post("/categories", {"name": "x", "type": "income", "parentId": made["id"]})
    assert error_of(other, "parentId") == (400, "VALIDATION_ERROR")
    gone = await money.post("/categories", {"name": "x", "type": "income", "parentId": "0" * 24})
    assert error_of(gone) == (404, "CATEGORY_NOT_FOUND")
    assert error_of(await money.post("/categories", {**PETS, "name": "  "}), "name")[0] == 400
    assert error_of(await money.put(f"/categories/{made['id']}", {}))[0] == 400

    path = f"/categories/{below['id']}"
    changed = (await money.put(path, {"color": "#00ff00", "order": 0})).json()["data"]
    assert changed == {**below, "color": "#00ff00", "order": 0, "etag": changed["etag"]}
    assert (await money.get(path)).json()["data"] == changed
    first = (await money.put(path, {"updateMask": "parentId,icon", "name": "Vet"})).json()["data"]
    assert first.keys() == changed.keys() - {"parentId", "icon"}
    assert error_of(await money.put(path, {"updateMask": "name"}), "updateMask")[0] == 400
    type_changed = await money.put(path, {"type": "income"})
    assert type_changed.json()["data"]["type"] == "income"
    archived = await money.put(path, {"archived": True})
    listed = (await money.get("/categories", archived="true")).json()["data"]["categories"]
    assert listed == [archived.json()["data"]]

    assert (await money.delete(path)).json()["message"] == "Category deleted successfully"
    assert error_of(await money.delete(path)) == (404, "CATEGORY_NOT_FOUND")
    assert error_of(await money.get(path)) == (404, "CATEGORY_NOT_FOUND")


async def test_a_category_with_others_below_is_deleted_if_something_takes_its_place(
    money: Money,
) -> None:
    made = await money.made("/categories", PETS)
    below = await money.made("/categories", {**PETS, "name": "Vet", "parentId": made["id"]})
    fixed = await money.put(f"/categories/{made['id']}", {"type": "income"})
    assert error_of(fixed, "type") == (400, "VALIDATION_ERROR")
    level = await money.put(f"/categories/{made['id']}", {"parentId": below["id"]})
    assert error_of(level, "parentId") == (400, "VALIDATION_ERROR")
    used = await money.delete(f"/categories/{made['id']}")
    assert error_of(used) == (409, "CATEGORY_IN_USE")
    assert used.json()["error"]["metadata"] == {"children": "1"}
    for wrong in (made["id"], below["id"]):
        refused = await money.delete(f"/categories/{made['id']}", moveTo=wrong)
        assert error_of(refused, "moveTo") == (400, "VALIDATION_ERROR")
    missing = await money.delete(f"/categories/{made['id']}", moveTo="0" * 24)
    assert error_of(missing) == (404, "CATEGORY_NOT_FOUND")
    income = (await money.get("/categories", type="income")).json()["data"]["categories"][0]
    other = await money.delete(f"/categories/{made['id']}", moveTo=income["id"])
    assert error_of(other, "moveTo") == (400, "VALIDATION_ERROR")

    health = (await money.get("/categories")).json()["data"]["categories"][5]
    await money.made("/categories", {**PETS, "name": "Vet", "parentId": health["id"]})
    clash = await money.delete(f"/categories/{made['id']}", moveTo=health["id"])
    assert error_of(clash) == (409, "CATEGORY_EXISTS")
    assert (await money.delete(f"/categories/{made['id']}", moveTo="none")).is_success
    left = (await money.get(f"/categories/{below['id']}")).json()["data"]
    assert "parentId" not in left


async def test_entity_tags(money: Money) -> None:
    made = await money.made("/categories", PETS)
    path = f"/categories/{made['id']}"
    read = await money.get(path)
    tag = read.headers["etag"]
    assert (tag, read.headers["cache-control"]) == (f'W/"{made["etag"]}"', "private, no-cache")
    for known in (tag, f'"x", {tag}', "*", f'"{made["etag"]}"'):
        same = await money.get(path, headers={"if-none-match": known})
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["etag"] == tag
    assert (await money.get(path, headers={"if-none-match": '"x"'})).status_code == 200

    for form in ('W/"{}"', '"{}"', "*"):
        sent = {"if-match": form.format(made["etag"])}
        changed = await money.put(path, {"order": 7}, headers=sent)
        assert changed.is_success, changed.text
        made = changed.json()["data"]
    stale = await money.put(path, {"order": 8}, headers={"if-match": '"1"'})
    assert error_of(stale) == (412, "ETAG_MISMATCH")
    assert stale.json()["error"]["metadata"] == {"etag": made["etag"]}
    assert error_of(await money.put(path, {"order": 8, "etag": "1"}))[0] == 412
    both = await money.put(path, {"order": 8, "etag": "1"}, headers={"if-match": '"2"'})
    assert error_of(both, "etag")[0] == 400
    wrong = await money.put(path, {"order": 8}, headers={"if-match": "1"})
    assert error_of(wrong, "If-Match")[0] == 400
    elsewhere = await money.post("/categories", {**PETS, "name": "x"}, headers={"if-match": '"1"'})
    assert error_of(elsewhere, "If-Match")[0] == 400
    assert error_of(await money.delete(path, etag="1")) == (412, "ETAG_MISMATCH")
    assert error_of(await money.delete(path, headers={"if-match": '"1"'}))[0] == 412
    assert (await money.get(path)).json()["data"] == made
    assert (await money.delete(path, etag=made["etag"])).is_success


async def test_over_grpc(channel: grpc.aio.Channel, money: Money) -> None:
    stub: Any = CategoryServiceStub(channel)
    own = {"metadata": (("x-on-behalf-of", money.user_id),)}
    made = (await stub.CreateCategory(rpc.CreateCategoryRequest(**PETS), **own)).data
    request = rpc.UpdateCategoryRequest(id=made.id, name="Animals", etag=made.etag)
    changed = (await stub.UpdateCategory(request, **own)).data
    assert (changed.name, changed.etag != made.etag) == ("Animals", True)
    with pytest.raises(grpc.aio.AioRpcError) as stale:
        await stub.UpdateCategory(request, **own)
    assert stale.value.code() is grpc.StatusCode.ABORTED
    assert (await stub.GetCategory(rpc.GetCategoryRequest(id=made.id), **own)).data == changed
    listed = (await stub.ListCategories(rpc.ListCategoriesRequest(type="expense"), **own)).data
    assert [each.name for each in listed.categories][-1] == "Animals"
    await stub.DeleteCategory(rpc.DeleteCategoryRequest(id=made.id), **own)
    with pytest.raises(grpc.aio.AioRpcError) as gone:
        await stub.DeleteCategory(rpc.DeleteCategoryRequest(id=made.id), **own)
    assert gone.value.code() is grpc.StatusCode.NOT_FOUND


async def test_anothers_is_as_unknown(
    rest: httpx.AsyncClient, channel: grpc.aio.Channel, money: Money
) -> None:
    made = await money.made("/categories", PETS)
    other = f"{money.user_id[:40]}_other"
    await steps.create_user(rest, other)
    path, own = f"/categories/{made['id']}", on_behalf(other)
    replies = [
        await rest.get(path, **own),
        await rest.put(path, json={"name": "Mine"}, **own),
        await rest.delete(path, **own),
        await rest.delete(path, params={"moveTo": "none"}, **own),
        await rest.post("/categories", json={**PETS, "parentId": made["id"]}, **own),
    ]
    assert {error_of(reply) for reply in replies} == {(404, "CATEGORY_NOT_FOUND")}
    stub: Any = CategoryServiceStub(channel)
    behalf = {"metadata": (("x-on-behalf-of", other),)}
    for name, request in (
        ("GetCategory", rpc.GetCategoryRequest(id=made["id"])),
        ("UpdateCategory", rpc.UpdateCategoryRequest(id=made["id"], name="Mine")),
        ("DeleteCategory", rpc.DeleteCategoryRequest(id=made["id"])),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await getattr(stub, name)(request, **behalf)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert (await money.get(path)).json()["data"] == made
