"""Every user endpoint over REST, field by field as the product's requirements print it."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.e2e.replies import content_of
from tests.e2e.users_errors import Failure, failed, is_instant

Json = dict[str, Any]

# The requirements' own examples, to the letter.
PRD_CREATE = """{
    "userId": "user_12345",
    "email": "user@example.com",
    "firstName": "John",
    "lastName": "Doe",
    "phoneNumber": "+91-9876543210",
    "city": "Bangalore",
    "country": "India"
  }"""
PRD_PROFILE = """{
    "firstName": "John",
    "lastName": "Smith",
    "dateOfBirth": "1990-01-01",
    "phoneNumber": "+91-9876543210",
    "city": "Mumbai",
    "income": 1800000,
    "riskTolerance": "high"
  }"""
PRD_PREFERENCES = """{
    "currency": "USD",
    "language": "hi",
    "notifications": {
      "email": false,
      "sms": true,
      "push": true
    }
  }"""
DEFAULT_PREFERENCES = {
    "currency": "INR",
    "language": "en",
    "notifications": {"email": True, "sms": False, "push": True},
}
JSON = {"content-type": "application/json"}
EMPTY_UPDATE = "Nothing to update: send at least one field, or name one in updateMask"


@pytest.fixture
async def prd_user(rest: httpx.AsyncClient) -> AsyncIterator[str]:
    """The user of the requirements' examples, not there before and not after."""
    await rest.delete("/users/user_12345")
    yield "user_12345"
    await rest.delete("/users/user_12345")


async def create(rest: httpx.AsyncClient, user_id: str, **fields: Any) -> Json:
    reply = await rest.post(
        "/users", json={"userId": user_id, "email": f"{user_id}@example.com", **fields}
    )
    assert reply.status_code == 201, reply.text
    data: Json = reply.json()["data"]
    return data


async def get(rest: httpx.AsyncClient, user_id: str) -> Json:
    reply = await rest.get(f"/users/{user_id}")
    assert reply.status_code == 200, reply.text
    data: Json = reply.json()["data"]
    return data


def new_city() -> str:
    """A city nobody else lives in, so that a list holds this test's users only."""
    return f"City {uuid.uuid4().hex}"


# --- the requirements' examples ---------------------------------------------------------------


async def test_create_as_the_requirements_print_it(rest: httpx.AsyncClient, prd_user: str) -> None:
    reply = await rest.post("/users", content=PRD_CREATE, headers=JSON)
    assert reply.status_code == 201
    assert reply.headers["content-type"] == "application/json"
    body = content_of(reply)
    assert body.keys() == {"message", "data"}
    assert body["message"] == "User created successfully"
    data = body["data"]
    assert re.fullmatch(r"[0-9a-f]{24}", data["id"])
    assert is_instant(data["createdAt"])
    assert data == {
        "id": data["id"],
        "userId": prd_user,
        "email": "user@example.com",
        "profile": {
            "firstName": "John",
            "lastName": "Doe",
            "phoneNumber": "+91-9876543210",
            "city": "Bangalore",
            "country": "India",
        },
        "preferences": DEFAULT_PREFERENCES,
        "status": "active",
        "role": "user",
        "isActive": True,
        "name": "John Doe",
        "phoneVerified": False,
        "mfaEnabled": False,
        "emailVerified": False,
        "metadata": {"tags": []},
        "createdAt": data["createdAt"],
        "updatedAt": data["createdAt"],
    }


async def test_the_requirements_whole_story(rest: httpx.AsyncClient, prd_user: str) -> None:
    created = (await rest.post("/users", content=PRD_CREATE, headers=JSON)).json()["data"]

    profile = await rest.put(f"/users/{prd_user}/profile", content=PRD_PROFILE, headers=JSON)
    assert profile.status_code == 200
    body = profile.json()
    assert body["message"] == "Profile updated successfully"
    expected_profile = json.loads(PRD_PROFILE) | {"country": "India"}
    assert is_instant(body["data"]["updatedAt"])
    assert body["data"] == {
        "userId": prd_user,
        "profile": expected_profile,
        "updatedAt": body["data"]["updatedAt"],
    }
    assert isinstance(body["data"]["profile"]["income"], int)

    preferences = await rest.put(
        f"/users/{prd_user}/preferences", content=PRD_PREFERENCES, headers=JSON
    )
    assert preferences.status_code == 200
    body = preferences.json()
    assert body["message"] == "Preferences updated successfully"
    assert body["data"] == {
        "userId": prd_user,
        "preferences": json.loads(PRD_PREFERENCES),
        "updatedAt": body["data"]["updatedAt"],
    }

    verified = await rest.put(f"/users/{prd_user}/email-verified", json={"emailVerified": True})
    updated_at = verified.json()["data"]["updatedAt"]
    got = await rest.get(f"/users/{prd_user}")
    assert got.status_code == 200
    assert content_of(got) == {
        "data": {
            "id": created["id"],
            "userId": prd_user,
            "email": "user@example.com",
            "profile": expected_profile,
            "preferences": json.loads(PRD_PREFERENCES),
            "status": "active",
            "role": "user",
            "isActive": True,
            "name": got.json()["data"]["name"],
            "phoneVerified": False,
            "mfaEnabled": False,
            "emailVerified": True,
            "metadata": {"tags": []},
            "createdAt": created["createdAt"],
            "updatedAt": updated_at,
        }
    }

    listed = await rest.get("/users?page=1&limit=20&status=active&city=Mumbai&riskTolerance=high")
    assert listed.status_code == 200
    page = listed.json()["data"]
    assert got.json()["data"] in page["users"]
    assert page["pagination"].keys() - {"nextPageToken"} == {
        "currentPage", "totalPages", "totalUsers", "hasNext", "hasPrev",
    }  # fmt: skip

    deleted = await rest.delete(f"/users/{prd_user}")
    assert deleted.status_code == 200
    assert content_of(deleted) == {"message": "User deleted successfully"}
    gone = await rest.get(f"/users/{prd_user}")
    assert failed(gone) == Failure("USER_NOT_FOUND", "User not found")


# --- create -----------------------------------------------------------------------------------


async def test_everything_can_be_given_at_once(rest: httpx.AsyncClient, new_id: str) -> None:
    given: Json = {
        "firstName": "Asha",
        "lastName": "Rao",
        "phoneNumber": "+91 98765 43210",
        "city": "पुणे",
        "country": "",
        "dateOfBirth": "2000-02-29",
        "income": 1234567.25,
        "riskTolerance": "low",
    }
    preferences = {"language": "pt-BR", "notifications": {"push": False}}
    metadata = {"source": "web", "referralCode": "R-1", "tags": ["a", "b"]}
    data = await create(rest, new_id, **given, preferences=preferences, metadata=metadata)
    assert data["profile"] == given
    assert data["preferences"] == {
        "currency": "INR",
        "language": "pt-BR",
        "notifications": {"email": True, "sms": False, "push": False},
    }
    assert data["metadata"] == metadata
    assert await get(rest, new_id) == data


async def test_null_is_not_sent(rest: httpx.AsyncClient, new_id: str) -> None:
    data = await create(rest, new_id, city=None, preferences=None, metadata={"tags": None})
    assert data["profile"] == {}
    assert data["preferences"] == DEFAULT_PREFERENCES


async def test_an_email_is_unique_in_any_case(rest: httpx.AsyncClient, new_id: str) -> None:
    first = await create(rest, new_id, email=f"{new_id.upper()}@Example.COM")
    assert first["email"] == f"{new_id}@example.com"
    again = await rest.post(
        "/users", json={"userId": f"{new_id}_2", "email": f"{new_id}@EXAMPLE.com"}
    )
    assert again.status_code == 409
    assert failed(again) == Failure(
        "USER_EXISTS", "Email already exists", {"email": "Email already exists"}
    )
    assert (await rest.get(f"/users/{new_id}_2")).status_code == 404


async def test_a_user_id_is_unique(rest: httpx.AsyncClient, new_id: str) -> None:
    first = await create(rest, new_id)
    taken = await rest.post("/users", json={"userId": new_id, "email": "other@example.com"})
    assert failed(taken) == Failure(
        "USER_EXISTS", "User ID already exists", {"userId": "User ID already exists"}
    )
    both = await rest.post("/users", json={"userId": new_id, "email": f"{new_id}@example.com"})
    assert failed(both) == Failure(
        "USER_EXISTS",
        "User already exists",
        {"userId": "User ID already exists", "email": "Email already exists"},
    )
    assert await get(rest, new_id) == first


async def test_of_many_creations_at_once_one_succeeds(rest: httpx.AsyncClient, new_id: str) -> None:
    responses = await asyncio.gather(
        *(
            rest.post("/users", json={"userId": new_id, "email": f"{new_id}@example.com"})
            for _ in range(10)
        )
    )
    assert sorted(reply.status_code for reply in responses) == [201] + [409] * 9


# --- updates ----------------------------------------------------------------------------------


async def test_an_update_leaves_what_is_not_sent(rest: httpx.AsyncClient, new_id: str) -> None:
    before = await create(
        rest, new_id, firstName="Asha", city="Pune", income=5, metadata={"source": "web"}
    )
    reply = await rest.put(f"/users/{new_id}/profile", json={"city": "Delhi", "lastName": ""})
    assert reply.json()["data"]["profile"] == {
        "firstName": "Asha", "lastName": "", "city": "Delhi", "income": 5,
    }  # fmt: skip
    after = await get(rest, new_id)
    assert after == before | {
        "profile": reply.json()["data"]["profile"],
        "updatedAt": reply.json()["data"]["updatedAt"],
    }
    assert after["updatedAt"] >= before["updatedAt"]


async def test_a_notification_leaves_the_others(rest: httpx.AsyncClient, new_id: str) -> None:
    await create(rest, new_id, preferences={"notifications": {"email": False, "sms": True}})
    reply = await rest.put(f"/users/{new_id}/preferences", json={"notifications": {"push": False}})
    assert reply.json()["data"]["preferences"] == {
        "currency": "INR",
        "language": "en",
        "notifications": {"email": False, "sms": True, "push": False},
    }


async def test_a_field_in_the_mask_that_is_not_sent_is_removed(
    rest: httpx.AsyncClient, new_id: str
) -> None:
    await create(rest, new_id, firstName="Asha", city="Pune", income=5, riskTolerance="low")
    reply = await rest.put(
        f"/users/{new_id}/profile",
        json={"city": "Delhi", "updateMask": "city,income,riskTolerance"},
    )
    assert reply.status_code == 200
    assert reply.json()["data"]["profile"] == {"firstName": "Asha", "city": "Delhi"}
    only_mask = await rest.put(f"/users/{new_id}/profile", json={"updateMask": "firstName"})
    assert only_mask.json()["data"]["profile"] == {"city": "Delhi"}
    assert (await get(rest, new_id))["profile"] == {"city": "Delhi"}


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ("currency", {"currency": "INR"}),
        ("language", {"language": "en"}),
        ("notifications.sms", {"notifications": {"email": False, "sms": False, "push": False}}),
        ("notifications", {"notifications": {"email": True, "sms": False, "push": True}}),
        (
            "currency,notifications.email",
            {"currency": "INR", "notifications": {"email": True, "sms": True, "push": False}},
        ),
    ],
)
async def test_a_preference_in_the_mask_goes_back_to_its_default(
    rest: httpx.AsyncClient, new_id: str, mask: str, expected: Json
) -> None:
    set_ = {
        "currency": "USD",
        "language": "hi",
        "notifications": {"email": False, "sms": True, "push": False},
    }
    await create(rest, new_id, preferences=set_)
    reply = await rest.put(f"/users/{new_id}/preferences", json={"updateMask": mask})
    assert reply.status_code == 200
    assert reply.json()["data"]["preferences"] == set_ | expected
    assert (await get(rest, new_id))["preferences"] == set_ | expected


async def test_what_is_sent_beats_the_mask_that_names_its_parent(
    rest: httpx.AsyncClient, new_id: str
) -> None:
    sent = {"notifications": {"email": False, "sms": True, "push": False}}
    await create(rest, new_id, preferences=sent)
    reply = await rest.put(
        f"/users/{new_id}/preferences",
        json={"notifications": {"push": False}, "updateMask": "notifications"},
    )
    assert reply.json()["data"]["preferences"]["notifications"] == {
        "email": True, "sms": False, "push": False,
    }  # fmt: skip


async def test_metadata(rest: httpx.AsyncClient, new_id: str) -> None:
    await create(rest, new_id, metadata={"source": "web", "tags": ["a", "b"]})
    reply = await rest.put(f"/users/{new_id}/metadata", json={"referralCode": "R1", "tags": ["c"]})
    assert reply.status_code == 200
    body = reply.json()
    assert body["message"] == "Metadata updated successfully"
    assert body["data"] == {
        "userId": new_id,
        "metadata": {"source": "web", "referralCode": "R1", "tags": ["c"]},
        "updatedAt": body["data"]["updatedAt"],
    }
    emptied = await rest.put(f"/users/{new_id}/metadata", json={"tags": [], "updateMask": "source"})
    assert emptied.json()["data"]["metadata"] == {"referralCode": "R1", "tags": []}
    assert (await get(rest, new_id))["metadata"] == {"referralCode": "R1", "tags": []}


@pytest.mark.parametrize("status", ["inactive", "suspended", "active"])
async def test_status(rest: httpx.AsyncClient, new_id: str, status: str) -> None:
    await create(rest, new_id)
    reply = await rest.put(f"/users/{new_id}/status", json={"status": status})
    assert reply.status_code == 200
    body = reply.json()
    assert body["message"] == "Status updated successfully"
    assert body["data"] == {
        "userId": new_id,
        "status": status,
        "updatedAt": body["data"]["updatedAt"],
    }
    assert (await get(rest, new_id))["status"] == status


async def test_email_verified(rest: httpx.AsyncClient, new_id: str) -> None:
    await create(rest, new_id)
    for verified in (True, False):
        reply = await rest.put(f"/users/{new_id}/email-verified", json={"emailVerified": verified})
        assert reply.status_code == 200
        body = reply.json()
        assert body["message"] == "Email verification updated successfully"
        assert body["data"] == {
            "userId": new_id,
            "emailVerified": verified,
            "updatedAt": body["data"]["updatedAt"],
        }
        assert (await get(rest, new_id))["emailVerified"] is verified


@pytest.mark.parametrize("section", ["profile", "preferences", "metadata"])
@pytest.mark.parametrize("body", ["", "{}", '{"updateMask": ""}', '{"updateMask": null}'])
async def test_an_empty_update_is_refused(
    rest: httpx.AsyncClient, new_id: str, section: str, body: str
) -> None:
    before = await create(rest, new_id)
    reply = await rest.put(f"/users/{new_id}/{section}", content=body, headers=JSON)
    assert failed(reply) == Failure("VALIDATION_ERROR", EMPTY_UPDATE)
    assert await get(rest, new_id) == before


@pytest.mark.parametrize(
    ("section", "body"),
    [
        ("profile", {"city": None}),
        ("preferences", {"notifications": {}}),
        ("preferences", {"notifications": {"sms": None}}),
        ("metadata", {"source": None, "tags": None}),
    ],
)
async def test_an_update_of_nothing_but_nulls_is_empty(
    rest: httpx.AsyncClient, new_id: str, section: str, body: Json
) -> None:
    await create(rest, new_id)
    reply = await rest.put(f"/users/{new_id}/{section}", json=body)
    assert failed(reply) == Failure("VALIDATION_ERROR", EMPTY_UPDATE)


@pytest.mark.parametrize(
    ("section", "body"),
    [
        ("profile", {"city": "Pune"}),
        ("preferences", {"currency": "USD"}),
        ("status", {"status": "inactive"}),
        ("metadata", {"source": "web"}),
        ("email-verified", {"emailVerified": True}),
    ],
)
async def test_nobody_cannot_be_changed(
    rest: httpx.AsyncClient, new_id: str, section: str, body: Json
) -> None:
    reply = await rest.put(f"/users/{new_id}/{section}", json=body)
    assert failed(reply) == Failure("USER_NOT_FOUND", "User not found")


async def test_updates_at_once_are_all_kept(rest: httpx.AsyncClient, new_id: str) -> None:
    await create(rest, new_id)
    fields: Json = {"firstName": "A", "lastName": "B", "city": "C", "country": "D", "income": 5}
    responses = await asyncio.gather(
        *(rest.put(f"/users/{new_id}/profile", json={k: v}) for k, v in fields.items())
    )
    assert [reply.status_code for reply in responses] == [200] * 5
    assert (await get(rest, new_id))["profile"] == fields


# --- delete -----------------------------------------------------------------------------------


async def test_who_is_deleted_is_gone_from_every_read(rest: httpx.AsyncClient, new_id: str) -> None:
    city = new_city()
    await create(rest, new_id, city=city)
    assert (await rest.delete(f"/users/{new_id}")).status_code == 200
    responses = [
        await rest.get(f"/users/{new_id}"),
        await rest.delete(f"/users/{new_id}"),
        await rest.put(f"/users/{new_id}/status", json={"status": "active"}),
        await rest.get(f"/connectors/user/{new_id}"),
    ]
    for reply in responses:
        assert failed(reply) == Failure("USER_NOT_FOUND", "User not found")
    batch = (await rest.get(f"/users:batchGet?userIds={new_id}")).json()["data"]
    assert batch == {"users": [], "missingUserIds": [new_id]}
    page = (await rest.get("/users", params={"city": city})).json()["data"]
    assert page["users"] == []
    assert page["pagination"]["totalUsers"] == 0


async def test_who_comes_again_inherits_nothing(rest: httpx.AsyncClient, new_id: str) -> None:
    before = await create(
        rest, new_id, city="Pune", preferences={"currency": "USD"}, metadata={"tags": ["a"]}
    )
    await rest.put(f"/users/{new_id}/status", json={"status": "suspended"})
    await rest.put(f"/users/{new_id}/email-verified", json={"emailVerified": True})
    assert (await rest.delete(f"/users/{new_id}")).status_code == 200
    again = await create(rest, new_id)
    assert again["id"] != before["id"]
    assert again["createdAt"] > before["createdAt"]
    assert again["profile"] == {}
    assert again["preferences"] == DEFAULT_PREFERENCES
    assert again["metadata"] == {"tags": []}
    assert again["status"] == "active"
    assert again["emailVerified"] is False


# --- batches and lists ------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["repeated", "commas", "escaped commas"])
async def test_a_batch_is_in_the_order_asked_for_and_names_the_missing(
    rest: httpx.AsyncClient, new_id: str, form: str
) -> None:
    users = [await create(rest, f"{new_id}_{number}") for number in range(3)]
    asked = [f"{new_id}_2", f"{new_id}_none", f"{new_id}_0", f"{new_id}_1", f"{new_id}_void"]
    query = {
        "repeated": "&".join(f"userIds={user_id}" for user_id in asked),
        "commas": "userIds=" + ",".join(asked),
        "escaped commas": "userIds=" + "%2C".join(asked),
    }[form]
    reply = await rest.get(f"/users:batchGet?{query}")
    assert reply.status_code == 200
    assert content_of(reply) == {
        "data": {
            "users": [users[2], users[0], users[1]],
            "missingUserIds": [f"{new_id}_none", f"{new_id}_void"],
        }
    }


@pytest.mark.parametrize(
    ("ids", "field"),
    [
        ([], "userIds"),
        ([""], "userIds[0]"),
        (["a", "b", "a"], "userIds"),
        (["a", "b c"], "userIds[1]"),
        ([f"u{number}" for number in range(101)], "userIds"),
    ],
)
async def test_a_batch_has_1_to_100_ids(
    rest: httpx.AsyncClient, ids: list[str], field: str
) -> None:
    reply = await rest.get("/users:batchGet", params={"userIds": ids})
    failure = failed(reply)
    assert failure.code == "VALIDATION_ERROR"
    assert field in failure.fields


async def test_a_batch_of_100(rest: httpx.AsyncClient, new_id: str) -> None:
    await create(rest, new_id)
    ids = [new_id, *(f"none_{number}" for number in range(99))]
    data = (await rest.get("/users:batchGet", params={"userIds": ids})).json()["data"]
    assert [user["userId"] for user in data["users"]] == [new_id]
    assert data["missingUserIds"] == ids[1:]


async def lived_in(rest: httpx.AsyncClient, new_id: str, count: int) -> tuple[str, list[Json]]:
    """A city, and its users as a list has them: newest first."""
    city = new_city()
    users = [await create(rest, f"{new_id}_{number}", city=city) for number in range(count)]
    return city, sorted(users, key=_creation, reverse=True)


def _creation(user: Json) -> tuple[datetime, str]:
    """A time as it is: of a whole second no fraction is written, which would sort after all others."""
    return datetime.fromisoformat(user["createdAt"]), user["id"]


async def test_pages_by_number(rest: httpx.AsyncClient, new_id: str) -> None:
    city, users = await lived_in(rest, new_id, 5)
    for number in range(1, 5):
        reply = await rest.get("/users", params={"city": city, "limit": 2, "page": number})
        assert reply.status_code == 200
        assert content_of(reply).keys() == {"data"}
        data = reply.json()["data"]
        assert data["users"] == users[2 * number - 2 : 2 * number]
        token = data["pagination"].pop("nextPageToken", None)
        assert (token is not None) == (number < 3)
        assert data["pagination"] == {
            "currentPage": number,
            "totalPages": 3,
            "totalUsers": 5,
            "hasNext": number < 3,
            "hasPrev": number > 1,
        }


async def test_a_page_past_the_end_is_empty(rest: httpx.AsyncClient, new_id: str) -> None:
    city, _ = await lived_in(rest, new_id, 1)
    for number in (2, 99, 2**31 - 1):
        reply = await rest.get("/users", params={"city": city, "page": number, "limit": 100})
        assert reply.status_code == 200
        assert reply.json()["data"] == {
            "users": [],
            "pagination": {
                "currentPage": number,
                "totalPages": 1,
                "totalUsers": 1,
                "hasNext": False,
                "hasPrev": True,
            },
        }


async def test_a_page_has_20_users_unless_asked_otherwise(
    rest: httpx.AsyncClient, new_id: str
) -> None:
    city, users = await lived_in(rest, new_id, 21)
    data = (await rest.get("/users", params={"city": city})).json()["data"]
    assert data["users"] == users[:20]
    assert data["pagination"]["currentPage"] == 1
    assert data["pagination"]["totalPages"] == 2
    data = (await rest.get("/users", params={"city": city, "limit": 100})).json()["data"]
    assert data["users"] == users
    assert data["pagination"]["totalPages"] == 1


async def test_filters(rest: httpx.AsyncClient, new_id: str) -> None:
    city = new_city()
    for number, (risk, status) in enumerate(
        [("low", "active"), ("low", "suspended"), ("high", "active"), ("medium", "inactive")]
    ):
        user_id = f"{new_id}_{number}"
        await create(rest, user_id, city=city, riskTolerance=risk)
        await rest.put(f"/users/{user_id}/status", json={"status": status})
    await create(rest, f"{new_id}_bare", city=f"{city} East")

    async def found(**filters: str) -> set[str]:
        data = (await rest.get("/users", params={"city": city, **filters})).json()["data"]
        assert data["pagination"]["totalUsers"] == len(data["users"])
        return {user["userId"].removeprefix(f"{new_id}_") for user in data["users"]}

    assert await found() == {"0", "1", "2", "3"}
    assert await found(city=city.upper()) == {"0", "1", "2", "3"}
    assert await found(city=city.lower(), status="active") == {"0", "2"}
    assert await found(riskTolerance="low") == {"0", "1"}
    assert await found(riskTolerance="low", status="suspended") == {"1"}
    assert await found(riskTolerance="high", status="suspended") == set()
    assert await found(city=f"{city} east") == {"bare"}
    assert await found(city=city[:-1]) == set()


async def test_a_walk_by_token(rest: httpx.AsyncClient, new_id: str) -> None:
    city, users = await lived_in(rest, new_id, 7)
    seen: list[Json] = []
    parameters: dict[str, Any] = {"city": city, "limit": 2}
    numbers = []
    while True:
        data = (await rest.get("/users", params=parameters)).json()["data"]
        seen += data["users"]
        pagination = data["pagination"]
        numbers.append(pagination["currentPage"])
        assert pagination["hasNext"] == ("nextPageToken" in pagination)
        assert pagination["hasPrev"] == (len(numbers) > 1)
        if len(numbers) == 1:
            # One comes, and one that was seen and one that was not go: nobody else is touched.
            await create(rest, f"{new_id}_new", city=city)
            await rest.delete(f"/users/{users[0]['userId']}")
            await rest.delete(f"/users/{users[4]['userId']}")
        if not pagination["hasNext"]:
            break
        parameters["pageToken"] = pagination["nextPageToken"]
    assert seen == [*users[:4], *users[5:]]
    assert numbers == [1, 2, 3]


async def test_a_token_is_bound_to_its_filters(rest: httpx.AsyncClient, new_id: str) -> None:
    city, _ = await lived_in(rest, new_id, 2)
    first = (await rest.get("/users", params={"city": city, "limit": 1})).json()["data"]
    token = first["pagination"]["nextPageToken"]
    for parameters in (
        {"pageToken": token},
        {"pageToken": token, "city": "Pune"},
        {"pageToken": token, "city": city, "status": "active"},
        {"pageToken": token, "city": city, "page": 2},
        {"pageToken": token[:-2], "city": city},
        {"pageToken": "nonsense", "city": city},
        {"pageToken": "", "city": city},
        {"pageToken": "x" * 513, "city": city},
    ):
        failure = failed(await rest.get("/users", params=parameters))
        assert failure.code == "VALIDATION_ERROR"
        assert failure.fields.keys() == {"pageToken"}
    other_limit = {"pageToken": token, "city": city, "limit": 5}
    assert (await rest.get("/users", params=other_limit)).status_code == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=two", "page"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=5.0", "limit"),
        ("status=gone", "status"),
        ("status=", "status"),
        ("riskTolerance=extreme", "riskTolerance"),
        (f"city={'x' * 101}", "city"),
    ],
)
async def test_what_a_list_is_asked_for_is_checked(
    rest: httpx.AsyncClient, query: str, field: str
) -> None:
    failure = failed(await rest.get(f"/users?{query}"))
    assert failure.code == "VALIDATION_ERROR"
    assert failure.message == "Validation failed"
    assert failure.fields.keys() == {field}
