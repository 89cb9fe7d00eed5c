"""Lists of users: by page number, and by token while others come and go."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest
from bson import ObjectId
from msgspec import to_builtins

from server.core.errors import InvalidRequest
from server.core.pages import Page
from server.core.users import User
from server.domains.users.model import UserFilter
from server.domains.users.store import USERS, UserStore
from server.storage import paging
from server.storage.driver import Database
from tests.domains.users.samples import document, page_after, page_of

EVERYONE = UserFilter()


def some(count: int, **fields: Any) -> list[dict[str, Any]]:
    """Documents of which several have the same time, in no order."""
    made = [document(f"u{number}", number // 3, **fields) for number in range(count)]
    random.Random(count).shuffle(made)  # noqa: S311 - the same order each time
    for each in made:
        each["_id"] = ObjectId()
    return made


def newest_first(documents: list[dict[str, Any]]) -> list[str]:
    ordered = sorted(documents, key=lambda each: (each["createdAt"], each["_id"]), reverse=True)
    return [each["userId"] for each in ordered]


def ids(users: list[User]) -> list[str]:
    return [user.user_id for user in users]


async def walk(store: UserStore, where: UserFilter, limit: int) -> list[Page[User]]:
    pages = [await page_of(store, where, 1, limit)]
    while token := pages[-1].next_page_token:
        pages.append(await page_after(store, where, token, limit))
        assert len(pages) < 1000
    return pages


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_are_the_list_newest_first(
    database: Database, store: UserStore, limit: int
) -> None:
    written = some(14)
    await database.collection(USERS).insert_many(written)
    expected = newest_first(written)

    by_token = await walk(store, EVERYONE, limit)
    assert [name for page in by_token for name in ids(page.items)] == expected
    by_number = [
        await page_of(store, EVERYONE, number, limit) for number in range(1, len(by_token) + 1)
    ]
    for number, (one, other) in enumerate(zip(by_token, by_number, strict=True), start=1):
        assert one == other
        assert (one.current_page, one.total, one.limit) == (number, 14, limit)
        assert one.total_pages == len(by_token)
    assert [page.next_page_token is None for page in by_token] == [False] * (len(by_token) - 1) + [
        True
    ]


async def test_past_the_end_there_is_nothing(database: Database, store: UserStore) -> None:
    await database.collection(USERS).insert_many(some(5))
    for number in (3, 4, 1000, 2**31 - 1):
        page = await page_of(store, EVERYONE, number, 3)
        expected = 2 if number == 2 else 0
        assert len(page.items) == expected
        assert (page.total, page.total_pages, page.next_page_token) == (5, 2, None)


async def test_no_users_at_all(store: UserStore) -> None:
    page = await page_of(store, EVERYONE, 1, 20)
    assert page == Page([], 1, 20, 0, None)
    assert page.total_pages == 0


@pytest.mark.parametrize("seed", range(6))
async def test_a_walk_neither_skips_nor_repeats_who_was_there_throughout(
    database: Database, store: UserStore, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same each time
    users = database.collection(USERS)
    where = chance.choice([EVERYONE, UserFilter(city="PUNE"), UserFilter(status="active")])
    matching: dict[str, Any] = {"status": "active", "profile": {"city": "Pune"}}
    written = [
        document(f"stays{number}" if chance.random() < 0.5 else f"leaves{number}",
                 chance.randrange(8), **matching)
        for number in range(60)
    ]  # fmt: skip
    chance.shuffle(written)
    await users.insert_many(written)
    stays = [each for each in written if each["userId"].startswith("stays")]
    leaves = [each["userId"] for each in written if each["userId"].startswith("leaves")]
    assert stays
    assert leaves

    seen: list[str] = []
    page = await page_of(store, where, 1, chance.randint(1, 9))
    while True:
        seen += ids(page.items)
        for number in range(chance.randrange(4)):  # newer, older, and between
            await users.insert_one(
                document(f"comes{len(seen)}_{number}", chance.randrange(-2, 10), **matching)
            )
        if leaves and chance.random() < 0.8:
            gone = leaves.pop(chance.randrange(len(leaves)))
            await users.delete_one({"userId": gone})
        if page.next_page_token is None:
            break
        page = await page_after(store, where, page.next_page_token, chance.randint(1, 9))

    assert len(seen) == len(set(seen)), "nobody twice"
    assert [name for name in seen if name.startswith("stays")] == newest_first(stays)


async def test_a_walk_does_not_skip_users_without_a_time(
    database: Database, store: UserStore
) -> None:
    """Another tool may leave `createdAt` out; such users are served, so a walk finds them."""
    written = some(6)
    for each in written[:4]:
        del each["createdAt"]
    await database.collection(USERS).insert_many(written)
    pages = await walk(store, EVERYONE, 1)
    names = [name for page in pages for name in ids(page.items)]
    assert sorted(names) == sorted(each["userId"] for each in written)


async def test_a_walk_counts_its_pages(database: Database, store: UserStore) -> None:
    await database.collection(USERS).insert_many(some(7))
    assert [page.current_page for page in await walk(store, EVERYONE, 2)] == [1, 2, 3, 4]


async def test_a_token_belongs_to_its_filters(database: Database, store: UserStore) -> None:
    await database.collection(USERS).insert_many(some(5, status="active"))
    token = (await page_of(store, UserFilter(status="active"), 1, 2)).next_page_token
    assert token is not None
    assert (await page_after(store, UserFilter(status="active"), token, 2)).items
    for other in (EVERYONE, UserFilter(status="inactive"), UserFilter("active", "Pune")):
        with pytest.raises(InvalidRequest) as raised:
            await page_after(store, other, token, 2)
        assert [error.field for error in raised.value.fields] == ["pageToken"]


async def cost(database: Database, of: str) -> int:
    """What MongoDB looked at to answer the last find of the database."""
    profile = database.collection("system.profile")
    found = await profile.find({"op": "query", "ns": {"$regex": f"{of}$"}}).to_list(None)
    last = found[-1]
    return int(last["keysExamined"]) + int(last["docsExamined"])


@pytest.mark.parametrize(
    "where",
    [
        EVERYONE,
        UserFilter(status="active"),
        UserFilter(city="pune"),
        UserFilter(risk_tolerance="low"),
    ],
    ids=["all", "status", "city", "risk"],
)
async def test_a_walk_costs_the_same_at_any_depth(
    database: Database, store: UserStore, where: UserFilter
) -> None:
    written = some(600, status="active", profile={"city": "Pune", "riskTolerance": "low"})
    await database.collection(USERS).insert_many(written)
    raw = database._database
    await raw.drop_collection("system.profile")
    await raw.create_collection("system.profile", capped=True, size=32 * 1024 * 1024)
    await raw.command("profile", 2)
    try:
        costs = []
        page = await page_of(store, where, 1, 10)
        while page.next_page_token:
            page = await page_after(store, where, page.next_page_token, 10)
            costs.append(await cost(database, USERS))
    finally:
        await raw.command("profile", 0)
    assert len(costs) == 59
    # Ten users and a look at the one after, each by its index key; ties cost a little more.
    assert max(costs) <= 60, costs


def forged(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


DIGEST = paging._digest(to_builtins(EVERYONE))


@pytest.mark.parametrize(
    "token",
    ["", "x", "%%%", "é", "a" * 512, "====", forged([]), forged({}), forged([1, 2, 3]), forged(None),
     forged([0, "0" * 24, 1]), forged([0, "0" * 24, 0, DIGEST]), forged([0, "0" * 24, 2**31, DIGEST]),
     forged([0, "nope", 1, DIGEST]), forged([0, 5, 1, DIGEST]), forged(["x", "0" * 24, 1, DIGEST]),
     forged([1e300, "0" * 24, 1, DIGEST]), forged([float("nan"), "0" * 24, 1, DIGEST]),
     forged([0, "0" * 24, 1, "wrong"]), forged([0, "0" * 24, "1", DIGEST]),
     forged([0, {"$gt": ""}, 1, DIGEST]), forged([0, "0" * 24, 1, None]), "W" * 300],
)  # fmt: skip
async def test_what_is_no_token_is_refused(store: UserStore, token: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await page_after(store, EVERYONE, token, 10)
    assert [error.field for error in raised.value.fields] == ["pageToken"]


async def test_a_forged_page_number_stays_within_the_reply(store: UserStore) -> None:
    """`currentPage` is a 32-bit number, and the page after the token's is one more."""
    token = forged([0, "0" * 24, 2**31 - 1, DIGEST])
    try:
        page = await page_after(store, EVERYONE, token, 10)
    except InvalidRequest:
        return
    assert page.current_page < 2**31


FILTERS = [
    UserFilter(status, city, risk)
    for status in (None, "suspended")
    for city in (None, "pune")
    for risk in (None, "low")
]


@pytest.mark.parametrize("where", FILTERS, ids=str)
async def test_a_page_reads_no_users_but_those_it_shows(
    database: Database, store: UserStore, where: UserFilter
) -> None:
    """By any filters together, also where few pass them; and they are counted once a walk."""
    written = some(400, status="active", profile={"city": "Delhi", "riskTolerance": "high"})
    for number, each in enumerate(written):
        if number % 20 < 7:  # all ways in which one of them may pass
            each["status"] = ("active", "suspended")[number % 2]
            each["profile"] = {
                "city": ("Delhi", "PUNE")[number // 2 % 2],
                "riskTolerance": ("high", "low")[number // 4 % 2],
            }
        if number % 20 == 7:
            each["status"] = "suspended"
            each["profile"] = {"city": "Pune", "riskTolerance": "low"}
    await database.collection(USERS).insert_many(written)
    raw = database._database
    profile = raw["system.profile"]
    await raw.drop_collection("system.profile")
    await raw.create_collection("system.profile", capped=True, size=32 * 1024 * 1024)
    await raw.command("profile", 2)
    try:
        pages = await walk(store, where, 5)
    finally:
        await raw.command("profile", 0)
    shown = sum(len(page.items) for page in pages)
    assert shown >= 20
    assert {page.total for page in pages} == {shown}
    found = await profile.find({"ns": {"$regex": f"{USERS}$"}}).sort("ts", 1).to_list(None)
    counts = [each for each in found if "aggregate" in each["command"]]
    lists = [each for each in found if each["op"] == "query"]
    if where.city is None and where.risk_tolerance is None:
        assert len(counts) == len(pages)
    else:
        assert len(counts) == 1
        assert counts[0]["docsExamined"] == 0 or where == UserFilter(risk_tolerance="low")
    for each in lists:
        assert "IXSCAN" in each["planSummary"]
        assert not each.get("hasSortStage")
        assert each["docsExamined"] <= 6, each["command"]["filter"]


async def test_how_many_there_were_comes_with_the_token(
    database: Database, store: UserStore
) -> None:
    """A walk tells what its first page counted; a token made before that is still good."""
    where = UserFilter(city="Pune")
    await database.collection(USERS).insert_many(some(7, profile={"city": "Pune"}))
    page = await page_of(store, where, 1, 2)
    await database.collection(USERS).insert_many(
        [document(f"new{number}", 9, profile={"city": "Pune"}) for number in range(3)]
    )
    assert page.next_page_token is not None
    assert (await page_after(store, where, page.next_page_token, 2)).total == 7
    assert (await page_of(store, where, 2, 2)).total == 10
    position = paging.decode(page.next_page_token, to_builtins(where))
    old = paging.encode(
        paging.Position(position.at, position.id, position.page), to_builtins(where)
    )
    assert len(json.loads(base64.urlsafe_b64decode(old + "=="))) == 4
    assert (await page_after(store, where, old, 2)).total == 10
