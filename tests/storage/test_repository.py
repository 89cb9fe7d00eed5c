"""Documents of one collection through a repository, with each of the two drivers."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from msgspec.structs import replace
from pymongo import ASCENDING, IndexModel
from pymongo.collation import Collation
from pymongo.errors import DuplicateKeyError

from server.core.clock import utc_now
from server.core.errors import InvalidRequest
from server.core.model import Id, Model
from server.core.pages import PageRequest
from server.storage.driver import ClientSession, Database
from server.storage.indexes import ensure_indexes
from server.storage.repository import LOCK, NEWEST_FIRST, Listing, Repository, new_id

NOTES = "repository_notes"
START = datetime(2024, 1, 1, tzinfo=UTC)
BY_OWNER = "owner_newest"


class Style(Model, frozen=True):
    colour: str = "white"
    font: str | None = None


class NewNote(Model, frozen=True):
    name: str
    owner: str


class Note(Model, frozen=True):
    id: Id
    name: str
    owner: str
    created_at: datetime
    updated_at: datetime
    due: date | None = None
    parent: Id | None = None
    style: Style = Style()
    tags: tuple[str, ...] = ()


class NoNote(Exception):
    pass


class NoteExists(Exception):
    pass


class Mark(Model, frozen=True):
    """Without a time of its own."""

    id: Id
    text: str


def note(name: str, minutes: int = 0, **fields: Any) -> Note:
    at = START + timedelta(minutes=minutes)
    return Note(
        **{"id": new_id(), "name": name, "owner": "o", "created_at": at, "updated_at": at, **fields}
    )


@pytest.fixture
async def notes(database: Database) -> Repository[Note]:
    await database.collection(NOTES).delete_many({})
    await ensure_indexes(
        database,
        {
            NOTES: [
                IndexModel("name", unique=True),
                IndexModel([("owner", ASCENDING), *NEWEST_FIRST], name=BY_OWNER),
            ]
        },
    )
    return Repository(database, NOTES, Note, missing=NoNote)


@pytest.fixture
def by_name(database: Database, notes: Repository[Note]) -> Repository[Note]:
    return Repository(database, NOTES, Note, missing=NoNote, taken=NoteExists, key="name")


async def stored(database: Database, name: str) -> dict[str, Any] | None:
    return await database.collection(NOTES).find_one({"name": name})


async def test_what_is_inserted_is_found(
    database: Database, notes: Repository[Note], by_name: Repository[Note]
) -> None:
    parent = note("parent")
    child = note("child", due=date(2024, 2, 29), parent=parent.id, tags=("a", "b"))
    await notes.insert([parent])
    await notes.insert([child, note("other")])
    assert await notes.get(child.id) == child
    assert await by_name.get("child") == child
    assert await notes.find({"parent": parent.id}) == child
    assert await notes.get_many([child.id, new_id(), parent.id]) == {
        child.id: child,
        parent.id: parent,
    }
    assert set(await by_name.get_many(["child", "nobody"])) == {"child"}
    document = await stored(database, "child")
    assert document is not None
    assert document["_id"] == ObjectId(child.id)
    assert document["parent"] == ObjectId(parent.id)
    assert document["due"] == datetime(2024, 2, 29, tzinfo=UTC)


async def test_a_new_one_has_an_id_and_a_time_and_is_not_stored(notes: Repository[Note]) -> None:
    before = utc_now()
    made = notes.new(NewNote("one", "o"))
    assert made == Note(made.id, "one", "o", made.created_at, made.created_at)
    assert before <= made.created_at <= utc_now()
    assert not await notes.exists(made.id)


async def test_missing_files_are_reported(
    database: Database, notes: Repository[Note], by_name: Repository[Note]
) -> None:
    assert await by_name.find("nobody") is None
    assert not await notes.exists({"name": "nobody"})
    assert await notes.get_many([]) == {}
    for call in (
        notes.get(new_id()),
        notes.update(new_id(), {"name": "x"}),
        notes.remove(new_id()),
    ):
        with pytest.raises(NoNote):
            await call
    with pytest.raises(NoNote):
        await database.transact(lambda session: notes.lock(new_id(), session))


async def test_what_is_taken_is_refused(
    database: Database, notes: Repository[Note], by_name: Repository[Note]
) -> None:
    await notes.insert([note("one")])
    with pytest.raises(DuplicateKeyError):
        await notes.insert([note("one")])
    with pytest.raises(NoteExists):
        await by_name.insert([note("one")])

    async def work(session: ClientSession) -> None:
        await by_name.insert([note("two"), note("one")], session)

    with pytest.raises(NoteExists):
        await database.transact(work)
    await by_name.insert([note("other")])
    with pytest.raises(NoteExists):
        await by_name.update("other", {"name": "one"})
    with pytest.raises(DuplicateKeyError):
        await notes.update({"name": "other"}, {"name": "one"})
    assert await notes.exists({"name": "one"})
    assert not await notes.exists({"name": "two"})


async def test_an_update_changes_what_it_names(database: Database, notes: Repository[Note]) -> None:
    made = note("one", due=date(2024, 1, 1), style=Style("red", "mono"), tags=("a",))
    await notes.insert([made])
    await database.collection(NOTES).update_one(
        {"_id": ObjectId(made.id)}, {"$set": {"foreign": 1, "style.border": 2}}
    )
    before, parent = utc_now(), new_id()
    changed = await notes.update(
        made.id,
        {
            "style.font": None,
            "style.colour": "blue",
            "due": date(2025, 6, 7),
            "parent": parent,
            "tags": ("b", "c"),
            "owner": "$name",
        },
    )
    assert changed == replace(
        made, style=Style("blue"), due=date(2025, 6, 7), parent=parent, tags=("b", "c"),
        owner="$name", updated_at=changed.updated_at,
    )  # fmt: skip
    assert before <= changed.updated_at <= utc_now()
    assert await notes.get(made.id) == changed
    document = await stored(database, "one")
    assert document is not None
    assert (document["foreign"], document["style"]) == (1, {"colour": "blue", "border": 2})
    assert document["parent"] == ObjectId(parent)


async def test_an_update_may_ask_for_more_than_a_key(notes: Repository[Note]) -> None:
    made = note("one")
    await notes.insert([made])
    with pytest.raises(NoNote):
        await notes.update({"_id": made.id, "owner": "other"}, {"name": "x"})
    changed = await notes.update({"_id": made.id, "updatedAt": made.updated_at}, {"name": "x"})
    with pytest.raises(NoNote):
        await notes.update({"_id": made.id, "updatedAt": made.updated_at}, {"name": "y"})
    assert await notes.get(made.id) == changed


async def test_a_model_without_a_time_gets_none(database: Database) -> None:
    marks = Repository(database, "repository_marks", Mark, missing=NoNote)
    mark = Mark(new_id(), "a")
    await marks.insert([mark])
    assert await marks.update(mark.id, {"text": "b"}) == replace(mark, text="b")
    assert set(await marks.remove(mark.id)) == {"_id", "text"}


async def test_a_section_that_another_tool_stored_as_null_is_changed(
    database: Database, notes: Repository[Note]
) -> None:
    identifier = ObjectId()
    await database.collection(NOTES).insert_one(
        {"_id": identifier, "name": "foreign", "owner": "o", "style": None}
    )
    found = await notes.get(str(identifier))
    assert found.style == Style()
    assert found.created_at == identifier.generation_time
    changed = await notes.update(found.id, {"style.font": "mono"})
    assert changed.style == Style(font="mono")


async def test_a_change_that_is_undone_is_none(database: Database, notes: Repository[Note]) -> None:
    made = note("one")
    await notes.insert([made])

    async def work(session: ClientSession) -> None:
        changed = await notes.update(made.id, {"owner": "x"}, session)
        assert await notes.find(made.id, session) == changed
        assert (await notes.remove(made.id, session))["name"] == "one"
        raise LookupError

    with pytest.raises(LookupError):
        await database.transact(work)
    assert await notes.get(made.id) == made


async def test_what_is_locked_waits(database: Database, notes: Repository[Note]) -> None:
    """Of two transactions that lock a document each sees what the other has left, or comes first."""
    made = note("one")
    await notes.insert([made])

    async def append(tag: str) -> None:
        async def work(session: ClientSession) -> None:
            found = await notes.lock(made.id, session)
            await notes.update(made.id, {"tags": (*found.tags, tag)}, session)

        await database.transact(work)

    await asyncio.gather(*(append(tag) for tag in "abcde"))
    found = await notes.get(made.id)
    assert set(found.tags) == set("abcde")
    document = await stored(database, "one")
    assert document is not None
    assert document[LOCK] == 5


async def test_what_is_removed_is_given_as_it_was_stored(
    database: Database, notes: Repository[Note]
) -> None:
    made = note("one")
    await notes.insert([made])
    await database.collection(NOTES).update_one({"name": "one"}, {"$set": {"foreign": 1}})
    before = await stored(database, "one")
    assert await notes.remove(made.id) == before
    assert not await notes.exists(made.id)


async def test_all_that_have_a_value_are_removed(
    database: Database, notes: Repository[Note]
) -> None:
    await notes.insert([note("one"), note("two"), note("other", owner="x")])
    await database.transact(lambda session: notes.remove_all({"owner": "o"}, session))
    assert [each.name for each in (await notes.page(Listing({}, {}), PageRequest())).items] == [
        "other"
    ]


OF_O = Listing({"owner": "o"}, {"owner": "o"}, index=BY_OWNER)


async def filled(notes: Repository[Note]) -> list[Note]:
    """Seven of `o`, newest first, some of the same time, and one of somebody else."""
    made = [note(f"n{n}", minutes=n // 2) for n in range(7)]
    await notes.insert(made)
    await notes.insert([note("foreign", owner="x")])
    return sorted(made, key=lambda each: (each.created_at, each.id), reverse=True)


async def test_a_walk_by_number(notes: Repository[Note]) -> None:
    made = await filled(notes)
    pages = [await notes.page(OF_O, PageRequest(number, limit=3)) for number in (1, 2, 3, 4)]
    assert [list(page.items) for page in pages] == [made[:3], made[3:6], made[6:], []]
    assert [(page.current_page, page.total, page.total_pages) for page in pages] == [
        (number, 7, 3) for number in (1, 2, 3, 4)
    ]
    assert [page.has_next for page in pages] == [True, True, False, False]
    assert [page.has_prev for page in pages] == [False, True, True, True]


@pytest.mark.parametrize("index", [BY_OWNER, None])
async def test_a_walk_by_token(notes: Repository[Note], index: str | None) -> None:
    made, token = await filled(notes), None
    found: list[Note] = []
    listing = Listing({"owner": "o"}, {"owner": "o"}, index=index)
    numbers = []
    while True:
        page = await notes.page(listing, PageRequest(None, token, 2))
        found += page.items
        numbers.append(page.current_page)
        if token is None:  # the total is that of the first page
            await notes.insert([note("later", minutes=99)])
        assert page.total == 7
        if (token := page.next_page_token) is None:
            break
    assert found == made
    assert numbers == [1, 2, 3, 4]


async def test_what_has_no_time_comes_last(database: Database, notes: Repository[Note]) -> None:
    made = await filled(notes)
    timeless = [{"_id": ObjectId(), "name": f"t{n}", "owner": "o"} for n in range(3)]
    await database.collection(NOTES).insert_many([dict(each) for each in timeless])
    names, token = [], None
    while True:
        page = await notes.page(OF_O, PageRequest(None, token, 2))
        names += [each.name for each in page.items]
        if (token := page.next_page_token) is None:
            break
    assert names == [*(each.name for each in made), "t2", "t1", "t0"]


async def test_a_list_may_be_of_a_span_of_time(database: Database, notes: Repository[Note]) -> None:
    made = await filled(notes)
    await database.collection(NOTES).insert_one({"_id": ObjectId(), "name": "t", "owner": "o"})
    span = {"$gte": made[4].created_at, "$lt": made[0].created_at}
    listing = Listing({"owner": "o", "createdAt": span}, {"owner": "o"}, index=BY_OWNER)
    first = await notes.page(listing, PageRequest(limit=2))
    second = await notes.page(listing, PageRequest(None, first.next_page_token, 3))
    assert first.items + second.items == made[1:5]
    assert second.next_page_token is None


async def test_a_query_may_compare_dates(notes: Repository[Note]) -> None:
    early, late = note("early", due=date(2024, 1, 1)), note("late", due=date(2024, 3, 1))
    await notes.insert([early, late])
    page = await notes.page(Listing({"due": {"$gt": date(2024, 1, 1)}}, {}), PageRequest())
    assert page.items == [late]


async def test_a_total_never_hides_a_page(notes: Repository[Note]) -> None:
    async def total() -> int:
        return 0

    made = await filled(notes)
    listing = Listing({"owner": "o"}, {"owner": "o"}, index=BY_OWNER, total=total)
    pages = [await notes.page(listing, PageRequest(number, limit=3)) for number in (1, 2, 3, 4)]
    assert [each.items for each in pages] == [made[:3], made[3:6], made[6:], []]
    assert [each.total for each in pages] == [4, 7, 7, 0], "as many as are known to be there"


async def test_a_total_that_is_known_is_not_counted(notes: Repository[Note]) -> None:
    totals = iter([40, 41])

    async def total() -> int:
        return next(totals)

    await filled(notes)
    listing = Listing({"owner": "o"}, {}, total=total)
    first = await notes.page(listing, PageRequest(limit=2))
    second = await notes.page(listing, PageRequest(None, first.next_page_token, 2))
    assert (first.total, second.total) == (40, 41)


async def test_a_list_need_not_be_counted(notes: Repository[Note]) -> None:
    made, listing = await filled(notes), Listing({"owner": "o"}, {}, counted=False)
    first = await notes.page(listing, PageRequest(limit=5))
    second = await notes.page(listing, PageRequest(None, first.next_page_token, 5))
    assert first.items + second.items == made
    assert (first.total, second.total, second.next_page_token) == (None, None, None)


async def test_a_list_may_be_without_regard_to_case(notes: Repository[Note]) -> None:
    await filled(notes)
    listing = Listing({"name": "N3"}, {}, collation=Collation(locale="en", strength=2))
    page = await notes.page(listing, PageRequest(limit=2))
    assert [each.name for each in page.items] == ["n3"]
    assert page.total == await notes.total(listing) == 1


async def test_a_token_is_good_for_its_list_alone(notes: Repository[Note]) -> None:
    await filled(notes)
    token = (await notes.page(OF_O, PageRequest(limit=2))).next_page_token
    for listing, number in ((Listing({"owner": "x"}, {"owner": "x"}), None), (OF_O, 1)):
        with pytest.raises(InvalidRequest) as raised:
            await notes.page(listing, PageRequest(number, token, 2))
        assert [error.field for error in raised.value.fields] == ["pageToken"]
