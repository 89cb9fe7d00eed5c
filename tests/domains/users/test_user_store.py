"""The users store on a real MongoDB, the same through both drivers."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from msgspec.structs import asdict, replace

from server.core.clock import utc_now
from server.core.errors import FieldError
from server.core.users import Metadata, Notifications, Preferences, Profile, User, UserExists
from server.domains.users import store as user_store
from server.domains.users.errors import UserNotFound
from server.domains.users.model import UserFilter
from server.domains.users.store import ARCHIVE, USERS, UserStore
from server.storage.driver import Database
from server.storage.indexes import ensure_indexes
from tests.domains.users.conftest import ARCHIVE_DAYS, new_database
from tests.domains.users.samples import START, bare_user, document, new_user, page_of
from tests.mongodb import MongoDb

EVERYONE = UserFilter()


async def stored(database: Database, user_id: str) -> dict[str, Any]:
    found = await database.collection(USERS).find_one({"userId": user_id})
    assert found is not None
    return found


async def test_a_new_user_is_returned_as_it_is_stored(store: UserStore) -> None:
    before = utc_now()
    made = await store.create(new_user())
    wanted = new_user()
    assert made == User(
        id=made.id,
        user_id="user_12345",
        email="user_12345@example.com",
        profile=wanted.profile,
        preferences=wanted.preferences,
        status="active",
        email_verified=False,
        metadata=wanted.metadata,
        created_at=made.created_at,
        updated_at=made.created_at,
    )
    assert ObjectId.is_valid(made.id)
    assert before <= made.created_at <= utc_now()
    assert await store.get("user_12345") == made


async def test_the_document_has_the_shape_of_the_product(
    database: Database, store: UserStore
) -> None:
    made = await store.create(new_user())
    assert await stored(database, "user_12345") == {
        "_id": ObjectId(made.id),
        "userId": "user_12345",
        "email": "user_12345@example.com",
        "profile": {
            "firstName": "John",
            "lastName": "Doe",
            "dateOfBirth": datetime(1990, 1, 1, tzinfo=UTC),
            "phoneNumber": "+91-9876543210",
            "city": "Bangalore",
            "country": "India",
            "income": 1_500_000.0,
            "riskTolerance": "medium",
        },
        "preferences": {
            "currency": "USD",
            "language": "hi",
            "notifications": {"email": False, "sms": True, "push": False},
        },
        "status": "active",
        "emailVerified": False,
        "phoneVerified": False,
        "mfaEnabled": False,
        "role": "user",
        "metadata": {"source": "web", "referralCode": "R1", "tags": ["a", "b"]},
        "createdAt": made.created_at,
        "updatedAt": made.created_at,
    }


async def test_defaults_are_stored_and_what_was_not_given_is_not(
    database: Database, store: UserStore
) -> None:
    made = await store.create(bare_user("bare"))
    found = await stored(database, "bare")
    assert found["profile"] == {}
    assert found["metadata"] == {"tags": []}
    assert found["preferences"] == {
        "currency": "INR",
        "language": "en",
        "notifications": {"email": True, "sms": False, "push": True},
    }
    assert made.profile == Profile()
    assert made.preferences == Preferences()


@pytest.mark.parametrize(
    ("user_id", "email", "message", "fields"),
    [
        (
            "taken", "free@example.com", "User ID already exists",
            [FieldError("userId", "User ID already exists")],
        ),
        (
            "free", "taken@example.com", "Email already exists",
            [FieldError("email", "Email already exists")],
        ),
        (
            "taken", "taken@example.com", "User already exists",
            [
                FieldError("userId", "User ID already exists"),
                FieldError("email", "Email already exists"),
            ],
        ),
        (
            "taken", "other@example.com", "User already exists",
            [
                FieldError("userId", "User ID already exists"),
                FieldError("email", "Email already exists"),
            ],
        ),
    ],
)  # fmt: skip
async def test_what_is_taken_is_named(
    store: UserStore, user_id: str, email: str, message: str, fields: list[FieldError]
) -> None:
    first = await store.create(bare_user("taken"))
    await store.create(bare_user("other"))
    with pytest.raises(UserExists) as raised:
        await store.create(new_user(user_id, email))
    assert raised.value.message == message
    assert list(raised.value.fields) == fields
    assert await store.get("taken") == first
    assert await store.find("free") is None


async def test_of_many_at_once_one_is_made(database: Database, store: UserStore) -> None:
    results = await asyncio.gather(
        *(store.create(bare_user("same", f"user{n}@example.com")) for n in range(12)),
        return_exceptions=True,
    )
    made = [result for result in results if isinstance(result, User)]
    refused = [result for result in results if isinstance(result, UserExists)]
    assert (len(made), len(refused)) == (1, 11)
    assert await database.collection(USERS).count_documents({}) == 1
    assert await store.get("same") == made[0]


async def test_nobody_is_not_found(store: UserStore) -> None:
    assert await store.find("nobody") is None
    for call in (store.get("nobody"), store.update("nobody", {"status": "inactive"})):
        with pytest.raises(UserNotFound):
            await call
    assert await store.get_many(["nobody"]) == {}


async def test_many_are_got_by_their_ids(store: UserStore) -> None:
    made = {name: await store.create(bare_user(name)) for name in ("a", "b", "c")}
    found = await store.get_many(["c", "nobody", "a"])
    assert found == {"a": made["a"], "c": made["c"]}


async def test_an_update_changes_what_it_names(database: Database, store: UserStore) -> None:
    made = await store.create(new_user())
    changed = await store.update(
        "user_12345",
        {
            "profile.city": "Mumbai",
            "profile.dateOfBirth": date(1991, 2, 3),
            "profile.income": None,
            "profile.riskTolerance": None,
            "preferences.notifications.push": True,
            "metadata.tags": ["c"],
            "metadata.source": None,
            "emailVerified": True,
        },
    )
    assert changed == replace(
        made,
        profile=replace(
            made.profile,
            city="Mumbai",
            date_of_birth=date(1991, 2, 3),
            income=None,
            risk_tolerance=None,
        ),
        preferences=replace(made.preferences, notifications=Notifications(False, True, True)),
        metadata=Metadata(source=None, referral_code="R1", tags=("c",)),
        email_verified=True,
        updated_at=changed.updated_at,
    )
    assert changed.updated_at >= made.updated_at
    assert await store.get("user_12345") == changed
    found = await stored(database, "user_12345")
    assert "income" not in found["profile"]
    assert "source" not in found["metadata"]


async def test_updates_at_once_are_all_kept(store: UserStore) -> None:
    await store.create(bare_user("busy"))
    names = ["firstName", "lastName", "city", "country", "phoneNumber"]
    await asyncio.gather(*(store.update("busy", {f"profile.{name}": name}) for name in names))
    user = await store.get("busy")
    assert {*asdict(user.profile).values()} >= set(names)


async def test_an_update_in_a_transaction_that_fails_is_none(
    database: Database, store: UserStore
) -> None:
    made = await store.create(bare_user("rolled"))

    async def work(session: Any) -> None:
        await store.update("rolled", {"status": "suspended"}, session)
        raise LookupError

    with pytest.raises(LookupError):
        await database.transact(work)
    assert await store.get("rolled") == made


async def test_a_deleted_user_moves_to_the_archive(database: Database, store: UserStore) -> None:
    made = await store.create(new_user())
    other = await store.create(bare_user("other"))
    before = utc_now()
    await database.transact(lambda session: store.archive("user_12345", session))
    assert await store.find("user_12345") is None
    assert await store.get_many(["user_12345", "other"]) == {"other": other}
    page = await page_of(store, EVERYONE, 1, 10)
    assert (page.items, page.total) == ([other], 1)

    archived = await database.collection(ARCHIVE).find_one({"userId": "user_12345"})
    assert archived is not None
    assert archived["_id"] == ObjectId(made.id)
    assert archived["email"] == made.email
    assert before <= archived["archivedAt"] <= utc_now()
    with pytest.raises(UserNotFound):
        await database.transact(lambda session: store.archive("user_12345", session))

    again = await store.create(bare_user("user_12345"))
    assert again.id != made.id
    assert again.profile == Profile()
    assert again.metadata == Metadata()
    await database.transact(lambda session: store.archive("user_12345", session))
    assert await database.collection(ARCHIVE).count_documents({"userId": "user_12345"}) == 2


async def test_a_deletion_that_fails_leaves_everything(
    database: Database, store: UserStore
) -> None:
    made = await store.create(new_user())

    async def work(session: Any) -> None:
        await store.archive("user_12345", session)
        raise LookupError

    with pytest.raises(LookupError):
        await database.transact(work)
    assert await store.get("user_12345") == made
    assert await database.collection(ARCHIVE).count_documents({}) == 0


@pytest.mark.parametrize("city", ["Bangalore", "bangalore", "BANGALORE", "bAnGaLoRe"])
async def test_a_city_is_found_in_any_case(store: UserStore, city: str) -> None:
    names = {"one": "Bangalore", "two": "BANGALORE", "three": "Bangalore East", "four": "Bangalor"}
    for name, lives in names.items():
        await store.create(replace(bare_user(name), profile=Profile(city=lives)))
    await store.create(bare_user("nowhere"))
    page = await page_of(store, UserFilter(city=city), 1, 10)
    assert {user.user_id for user in page.items} == {"one", "two"}
    assert page.total == 2


async def test_a_city_is_text_and_no_pattern(store: UserStore) -> None:
    for name, lives in {"one": "São Paulo", "two": "Sao Paulo", "three": ".*"}.items():
        await store.create(replace(bare_user(name), profile=Profile(city=lives)))
    for city, expected in {".*": {"three"}, "são PAULO": {"one"}, "Sao": set(), "": set()}.items():
        page = await page_of(store, UserFilter(city=city), 1, 10)
        assert {user.user_id for user in page.items} == expected, city


async def test_filters_are_combined(store: UserStore) -> None:
    risks, cities = ["low", "medium"], ["Pune", "Delhi"]
    for risk in risks:
        for city in cities:
            for status in ("active", "suspended"):
                name = f"{risk}_{city}_{status}"
                await store.create(
                    replace(bare_user(name), profile=Profile(city=city, risk_tolerance=risk))
                )
                await store.update(name, {"status": status})
    page = await page_of(store, UserFilter("suspended", "pune", "low"), 1, 10)
    assert [user.user_id for user in page.items] == ["low_Pune_suspended"]
    assert (await page_of(store, UserFilter("suspended"), 1, 10)).total == 4
    assert (await page_of(store, UserFilter(risk_tolerance="low"), 1, 10)).total == 4
    assert (await page_of(store, UserFilter(risk_tolerance="high"), 1, 10)).total == 0


FOREIGN: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("nothing", {}, {}),
    ("empty", {"profile": {}, "preferences": {}, "metadata": {}}, {}),
    ("nulls", {"profile": None, "preferences": None, "metadata": None}, {}),
    (
        "mongoose",  # its defaults, and its own fields
        {
            "profile": {"firstName": "Asha", "income": 1_800_000},
            "preferences": {
                "currency": "INR",
                "language": "en",
                "notifications": {"email": True, "sms": False, "push": True},
            },
            "status": "active",
            "emailVerified": False,
            "metadata": {"tags": []},
            "updatedAt": START + timedelta(days=1),
            "__v": 0,
        },
        {
            "profile": Profile(first_name="Asha", income=1_800_000.0),
            "updated_at": START + timedelta(days=1),
        },
    ),
    (
        "partial",
        {
            "preferences": {"language": "hi", "notifications": {"sms": True}},
            "profile": {"dateOfBirth": datetime(1990, 1, 1, tzinfo=UTC), "nickname": "Jo"},
            "status": "suspended",
            "emailVerified": True,
            "metadata": {"source": "import"},
        },
        {
            "preferences": Preferences("INR", "hi", Notifications(True, True, True)),
            "profile": Profile(date_of_birth=date(1990, 1, 1)),
            "status": "suspended",
            "email_verified": True,
            "metadata": Metadata(source="import"),
        },
    ),
]


@pytest.mark.parametrize(
    ("name", "fields", "expected"), FOREIGN, ids=[name for name, *_ in FOREIGN]
)
async def test_what_another_tool_wrote_is_served(
    database: Database,
    store: UserStore,
    name: str,
    fields: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    written = document(name, **fields)
    await database.collection(USERS).insert_one(written)
    user = User(
        id=str(written["_id"]),
        user_id=name,
        email=f"{name}@example.com",
        profile=Profile(),
        preferences=Preferences(),
        status="active",
        email_verified=False,
        metadata=Metadata(),
        created_at=START,
        updated_at=START,
    )
    user = replace(user, **expected)
    assert await store.get(name) == user
    assert (await page_of(store, EVERYONE, 1, 10)).items == [user]
    assert await store.get_many([name]) == {name: user}

    changed = await store.update(name, {"emailVerified": True, "status": "inactive"})
    assert changed == replace(
        user, email_verified=True, status="inactive", updated_at=changed.updated_at
    )


@pytest.mark.parametrize("name", ["nothing", "empty", "mongoose", "partial"])
async def test_what_another_tool_wrote_can_be_changed(
    database: Database, store: UserStore, name: str
) -> None:
    fields = next(fields for written, fields, _ in FOREIGN if written == name)
    await database.collection(USERS).insert_one(document(name, **fields))
    before = await store.get(name)
    after = await store.update(
        name,
        {
            "profile.city": "Pune",
            "preferences.notifications.push": False,
            "metadata.tags": ["x"],
        },
    )
    assert after == replace(
        before,
        profile=replace(before.profile, city="Pune"),
        preferences=replace(
            before.preferences, notifications=replace(before.preferences.notifications, push=False)
        ),
        metadata=replace(before.metadata, tags=("x",)),
        updated_at=after.updated_at,
    )


async def test_a_user_without_a_time_was_made_when_its_id_was(
    database: Database, store: UserStore
) -> None:
    written = document("timeless")
    del written["createdAt"]
    await database.collection(USERS).insert_one(written)
    user = await store.get("timeless")
    assert user.created_at == user.updated_at == written["_id"].generation_time


async def test_indexes_are_made_once(database: Database) -> None:
    async def names() -> dict[str, set[str]]:
        return {
            name: set(await database.collection(name).index_information())
            for name in (USERS, ARCHIVE)
        }

    before = await names()
    assert {"userId_1", "email_1_if_any"} <= before[USERS]
    await ensure_indexes(database, user_store.indexes(ARCHIVE_DAYS))
    assert await names() == before
    of_users = await database.collection(USERS).index_information()
    assert of_users["userId_1"]["unique"]
    assert of_users["email_1_if_any"]["unique"]
    of_archive = await database.collection(ARCHIVE).index_information()
    assert of_archive["archivedAt_1"]["expireAfterSeconds"] == ARCHIVE_DAYS * 24 * 3600


@pytest.mark.parametrize("driver_name", ["pymongo", "motor"])
async def test_the_archive_keeps_for_as_long_as_is_configured_now(
    mongodb: MongoDb, driver_name: str
) -> None:
    """USER_ARCHIVE_DAYS was changed between two starts."""
    async with new_database(mongodb, driver_name) as database:
        await ensure_indexes(database, user_store.indexes(7))
        of_archive = await database.collection(ARCHIVE).index_information()
        assert of_archive["archivedAt_1"]["expireAfterSeconds"] == 7 * 24 * 3600
