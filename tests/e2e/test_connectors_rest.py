"""Every connector endpoint over REST, field by field as the product's requirements print it."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from server.domains.connectors.connections.throttle import ALLOWED, STOP, WITHIN
from tests.e2e import connector_steps as step
from tests.e2e.connector_steps import ALL, GRANTED, PLATFORMS, Json, instant
from tests.e2e.replies import content_of
from tests.e2e.users_errors import Failure, failed, is_instant

# The requirements' own examples, to the letter.
PRD_CONNECT = """{
    "userId": "user_12345",
    "platform": "fi_money",
    "credentials": {
      "username": "user123",
      "password": "platformPassword",
      "apiKey": "platform_api_key"
    },
    "permissions": ["transactions", "portfolio", "profile"]
  }"""
PRD_SETTINGS = """{
    "syncInterval": 10,
    "dataTypes": ["transactions", "portfolio"],
    "autoSync": true
  }"""
PRD_SYNC = """{
    "dataTypes": ["transactions"],
    "forceSync": true
  }"""
JSON = {"content-type": "application/json"}
NOWHERE = "0123456789abcdef01234567"
ACCOUNT_TYPES = {"fi_money": "mcp", "zerodha": "individual"}
NOT_FOUND = Failure("CONNECTOR_NOT_FOUND", "Connector not found")
NO_CONNECTION = Failure("CONNECTION_NOT_FOUND", "No connection found for this platform")
TAKEN = Failure("ALREADY_CONNECTED", "Already connected to this platform")
STATUSES = ("connected", "disconnected", "error", "expired")


@pytest.fixture
async def prd_user(rest: httpx.AsyncClient) -> AsyncIterator[str]:
    """The user of the requirements' examples, without connectors before and not there after."""
    await rest.delete("/users/user_12345")
    await step.create_user(rest, "user_12345")
    yield "user_12345"
    await rest.delete("/users/user_12345")


@pytest.fixture
async def user(rest: httpx.AsyncClient, new_id: str) -> str:
    await step.create_user(rest, new_id)
    return new_id


def prd_connect(platform: str) -> str:
    return PRD_CONNECT.replace("fi_money", platform)


# --- the requirements' examples -----------------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_connect_as_the_requirements_print_it(
    rest: httpx.AsyncClient, prd_user: str, platform: str
) -> None:
    reply = await rest.post("/connectors", content=prd_connect(platform), headers=JSON)
    assert reply.status_code == 201
    assert reply.headers["content-type"] == "application/json"
    body = content_of(reply)
    data = body["data"]
    assert re.fullmatch(r"[0-9a-f]{24}", data["id"])
    assert data["sessionId"].startswith("sess_")
    assert is_instant(data["connectedAt"])
    asked = ["transactions", "portfolio", "profile"]
    assert body == {
        "message": "Connected successfully",
        "data": {
            "id": data["id"],
            "userId": prd_user,
            "platform": platform,
            "sessionId": data["sessionId"],
            "connectionStatus": "connected",
            "connectedAt": data["connectedAt"],
            "permissions": [name for name in asked if name in GRANTED[platform]],
            "syncInterval": 5,
        },
    }
    again = await rest.post("/connectors", content=prd_connect(platform), headers=JSON)
    assert failed(again) == TAKEN
    assert (await step.get(rest, data["id"]))["sessionId"] == data["sessionId"]


async def test_the_requirements_whole_story(rest: httpx.AsyncClient, prd_user: str) -> None:
    made = {}
    for platform in PLATFORMS:
        reply = await rest.post("/connectors", content=prd_connect(platform), headers=JSON)
        made[platform] = reply.json()["data"]
    first, other = made["fi_money"], made["zerodha"]
    synced = {name: await step.synced(rest, data["id"]) for name, data in made.items()}

    # All of a user's, one of them gone meanwhile.
    gone = await rest.delete(f"/connectors/{other['id']}")
    assert gone.status_code == 200
    disconnected_at = gone.json()["data"]["disconnectedAt"]
    assert is_instant(disconnected_at)
    assert content_of(gone) == {
        "message": "Disconnected successfully",
        "data": {"platform": "zerodha", "disconnectedAt": disconnected_at, "sessionDuration": 0},
    }
    last_runs = {
        name: {
            "state": "success",
            "finishedAt": status["syncHistory"][0]["syncedAt"],
            "syncId": status["syncHistory"][0]["syncId"],
            "missing": [],
        }
        for name, status in synced.items()
    }
    expected = [
        {
            "id": first["id"],
            "userId": prd_user,
            "platform": "fi_money",
            "connectionStatus": "connected",
            "sessionId": first["sessionId"],
            "connectedAt": first["connectedAt"],
            "lastSyncAt": synced["fi_money"]["lastSyncAt"],
            "sessionDuration": 0,
            "syncInterval": 5,
            "expiresSoon": False,
            "permissions": ["transactions", "portfolio", "profile"],
            "accountType": "mcp",
            "lastRun": last_runs["fi_money"],
            "failing": False,
        },
        {
            "id": other["id"],
            "userId": prd_user,
            "platform": "zerodha",
            "connectionStatus": "disconnected",
            "connectedAt": other["connectedAt"],
            "disconnectedAt": disconnected_at,
            "lastSyncAt": synced["zerodha"]["lastSyncAt"],
            "sessionDuration": 0,
            "syncInterval": 5,
            "expiresSoon": False,
            "permissions": ["portfolio", "profile"],
            "accountType": "individual",
            "lastRun": last_runs["zerodha"],
            "failing": False,
        },
    ]
    of_user = await rest.get(f"/connectors/user/{prd_user}")
    assert of_user.status_code == 200
    assert content_of(of_user) == {
        "data": {"connectors": expected, "totalConnectors": 2, "activeConnections": 1}
    }
    for platform, connector in zip(PLATFORMS, expected, strict=True):
        found = await rest.get(f"/connectors/user/{prd_user}/platform/{platform}")
        assert found.status_code == 200
        assert content_of(found) == {"data": {"connector": connector}}

    # Refreshed, with other settings, synced by hand.
    refreshed = await rest.put(f"/connectors/{first['id']}/refresh-session")
    assert refreshed.status_code == 200
    session = refreshed.json()["data"]
    assert session["sessionId"] != first["sessionId"]
    assert is_instant(session["expiresAt"])
    assert content_of(refreshed) == {
        "message": "Session refreshed successfully",
        "data": {"sessionId": session["sessionId"], "expiresAt": session["expiresAt"]},
    }
    settings = await rest.put(
        f"/connectors/{first['id']}/sync-settings", content=PRD_SETTINGS, headers=JSON
    )
    assert settings.status_code == 200
    assert content_of(settings) == {
        "message": "Sync settings updated successfully",
        "data": json.loads(PRD_SETTINGS),
    }
    begun = await rest.post(f"/connectors/{first['id']}/sync", content=PRD_SYNC, headers=JSON)
    assert begun.status_code == 200
    sync_id = begun.json()["data"]["syncId"]
    assert sync_id.startswith("sync_")
    assert content_of(begun) == {
        "message": "Sync initiated successfully",
        "data": {
            "syncId": sync_id,
            "status": "in_progress",
            "estimatedDuration": "less than a minute",
        },
    }
    entry = await step.finished(rest, first["id"], sync_id)
    assert [count["dataType"] for count in entry["counts"]] == ["transactions"]

    status = content_of(await rest.get(f"/connectors/{first['id']}/sync-status"))
    history = [entry, *synced["fi_money"]["syncHistory"]]
    assert is_instant(status["data"]["nextSyncAt"])
    assert status == {
        "data": {
            "lastSyncAt": entry["syncedAt"],
            "nextSyncAt": status["data"]["nextSyncAt"],
            "syncInterval": 10,
            "syncHistory": history,
            "totalSyncs": 2,
            "successfulSyncs": 2,
            "failedSyncs": 0,
            "successRate": 100,
            "autoSync": True,
        }
    }
    reply = await rest.get(f"/connectors/{first['id']}")
    assert reply.status_code == 200
    whole = reply.json()["data"]
    assert re.fullmatch(r"fi_[0-9a-f]{32}", whole["metadata"]["platformUserId"])
    assert instant(whole["updatedAt"]) >= instant(entry["syncedAt"])
    assert content_of(reply) == {
        "data": {
            "id": first["id"],
            "userId": prd_user,
            "platform": "fi_money",
            "connectionStatus": "connected",
            "sessionId": session["sessionId"],
            "connectionDetails": {
                "connectedAt": first["connectedAt"],
                "lastSyncAt": entry["syncedAt"],
                "sessionDuration": 0,
                "syncInterval": 10,
                "expiresAt": session["expiresAt"],
                "expiresSoon": False,
            },
            "metadata": {
                "platformUserId": whole["metadata"]["platformUserId"],
                "accountType": "mcp",
                "permissions": ["transactions", "portfolio", "profile"],
                "dataTypes": ["transactions", "portfolio"],
            },
            "syncHistory": history,
            "errors": [],
            "createdAt": first["connectedAt"],
            "updatedAt": whole["updatedAt"],
            "lastRun": {
                "state": "success",
                "finishedAt": entry["syncedAt"],
                "syncId": sync_id,
                "missing": [],
            },
            "failing": False,
        }
    }


async def test_a_history_entry_has_the_counts_of_each_data_type(
    rest: httpx.AsyncClient, user: str
) -> None:
    made = await step.connect(rest, user, "zerodha", permissions=ALL)
    (entry,) = (await step.synced(rest, made["id"]))["syncHistory"]
    assert entry.keys() == {
        "syncedAt", "status", "recordsCount", "addedCount", "syncId", "startedAt", "counts",
        "missing",
    }  # fmt: skip
    assert (entry["status"], entry["missing"]) == ("success", [])
    assert instant(made["connectedAt"]) <= instant(entry["startedAt"]) < instant(entry["syncedAt"])
    assert [count["dataType"] for count in entry["counts"]] == GRANTED["zerodha"]
    for total in ("recordsCount", "addedCount"):
        assert entry[total] == sum(count[total] for count in entry["counts"])
        assert entry[total] > 0


# --- connect ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "asked", "granted"),
    [
        ("fi_money", ["trades", "transactions"], ["trades", "transactions"]),
        ("fi_money", ["profile", "portfolio", "trades", "transactions"], None),
        ("zerodha", ["transactions", "trades"], ["trades"]),
        (
            "zerodha",
            ["profile", "transactions", "trades", "portfolio"],
            ["profile", "trades", "portfolio"],
        ),
    ],
)
async def test_what_is_granted_is_what_the_platform_has(
    rest: httpx.AsyncClient, user: str, platform: str, asked: list[str], granted: list[str] | None
) -> None:
    made = await step.connect(rest, user, platform, permissions=asked)
    assert made["permissions"] == (granted or asked)
    metadata = (await step.get(rest, made["id"]))["metadata"]
    assert metadata["permissions"] == metadata["dataTypes"] == (granted or asked)
    assert metadata["accountType"] == ACCOUNT_TYPES[platform]


async def test_the_platforms_own_facts(rest: httpx.AsyncClient, user: str) -> None:
    login = step.new_login()
    before = datetime.now(UTC)
    made = {
        platform: await step.get(
            rest,
            (await step.connect(rest, user, platform, credentials=step.credentials_of(login)))[
                "id"
            ],
        )
        for platform in PLATFORMS
    }
    kite, fi = made["zerodha"], made["fi_money"]
    assert kite["metadata"]["platformUserId"] == login.upper()
    assert login not in json.dumps(fi)
    # Kite ends every session at 06:00 in India; Fi's is taken to last half an hour.
    ends = instant(kite["connectionDetails"]["expiresAt"])
    assert (ends.hour, ends.minute, ends.second) == (0, 30, 0)
    assert before < ends <= before + timedelta(days=1, minutes=1)
    lasts = instant(fi["connectionDetails"]["expiresAt"]) - instant(
        fi["connectionDetails"]["connectedAt"]
    )
    assert abs(lasts - timedelta(minutes=30)) < timedelta(seconds=30)


async def test_fi_knows_a_login_again_by_its_hash(rest: httpx.AsyncClient, new_id: str) -> None:
    login = step.new_login()

    async def name_of(number: int, username: str) -> str:
        await step.create_user(rest, f"{new_id}_{number}")
        credentials = step.credentials_of(username)
        made = await step.connect(rest, f"{new_id}_{number}", credentials=credentials)
        name: str = (await step.get(rest, made["id"]))["metadata"]["platformUserId"]
        return name

    logins = enumerate([login, login, step.new_login()])
    names = await asyncio.gather(*(name_of(*each) for each in logins))
    assert names[0] == names[1]
    assert names[0] != names[2]


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_of_two_at_once_one_is_connected(
    rest: httpx.AsyncClient, user: str, platform: str
) -> None:
    responses = await asyncio.gather(*(step.post(rest, user, platform) for _ in range(4)))
    assert sorted(reply.status_code for reply in responses) == [201, 409, 409, 409]
    for reply in responses:
        if reply.status_code == 409:
            assert failed(reply) == TAKEN
    (made,) = (reply.json()["data"] for reply in responses if reply.status_code == 201)
    of_user = await step.of_user(rest, user)
    assert [c["id"] for c in of_user["connectors"]] == [made["id"]]
    assert of_user["connectors"][0]["sessionId"] == made["sessionId"]


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_wrong_password_is_named_and_nothing_is_stored(
    rest: httpx.AsyncClient, user: str, platform: str
) -> None:
    wrong = {**step.credentials_of(step.new_login()), "password": "wrong"}
    reply = await step.post(rest, user, platform, credentials=wrong)
    assert failed(reply) == Failure(
        "INVALID_CREDENTIALS",
        "Invalid credentials",
        {"credentials.password": "The platform refuses the password"},
    )
    assert failed(await rest.get(f"/connectors/user/{user}/platform/{platform}")) == NO_CONNECTION
    assert (await step.of_user(rest, user))["connectors"] == []
    # Nor does a failure stand in the way of another attempt.
    assert (await step.connect(rest, user, platform))["connectionStatus"] == "connected"


async def test_a_login_that_fi_does_not_serve(rest: httpx.AsyncClient, user: str) -> None:
    reply = await step.post(rest, user, "fi_money", credentials=step.credentials_of("0000000000"))
    assert failed(reply) == Failure(
        "INVALID_CREDENTIALS",
        "Invalid credentials",
        {"credentials.username": "Fi Money does not serve this user"},
    )
    assert failed(await rest.get(f"/connectors/user/{user}/platform/fi_money")) == NO_CONNECTION


@pytest.mark.parametrize(
    ("field", "value"),
    [("apiKey", "spaced key"), ("apiSecret", "ключ"), ("requestToken", "not handed out")],
)
async def test_credentials_that_zerodha_never_uses(
    rest: httpx.AsyncClient, user: str, field: str, value: str
) -> None:
    credentials = {**step.credentials_of(step.new_login()), field: value}
    failure = failed(await step.post(rest, user, "zerodha", credentials=credentials))
    assert failure.code == "INVALID_CREDENTIALS"
    assert failure.fields.keys() == {f"credentials.{field}"}
    assert value not in str(failure)
    assert (await step.of_user(rest, user))["connectors"] == []


async def test_zerodha_has_no_transactions(rest: httpx.AsyncClient, user: str) -> None:
    reply = await step.post(rest, user, "zerodha", permissions=["transactions"])
    assert failed(reply) == Failure(
        "INVALID_CREDENTIALS",
        "The platform grants none of the permissions asked for",
        {"permissions": "zerodha can grant portfolio, trades, profile"},
    )
    assert failed(await rest.get(f"/connectors/user/{user}/platform/zerodha")) == NO_CONNECTION


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"platform": "groww"}, {"platform"}),
        ({"platform": ""}, {"platform"}),
        ({"platform": None}, {"platform"}),
        ({"userId": None}, {"userId"}),
        ({"userId": "no spaces"}, {"userId"}),
        ({"permissions": []}, {"permissions"}),
        ({"permissions": None}, {"permissions"}),
        ({"permissions": ["portfolio", "portfolio"]}, {"permissions"}),
        ({"permissions": ["portfolio", "payments"]}, {"permissions[1]"}),
        ({"credentials": {"username": ""}}, {"credentials.username"}),
        ({"credentials": {"password": "x" * 1025}}, {"credentials.password"}),
        ({"credentials": {"userName": "x"}}, {"credentials.userName"}),
        ({"credentials": {"password": 5}}, {"credentials.password"}),
        ({"credentials": "user123"}, {"credentials"}),
        ({"platform": "groww", "userId": "-", "permissions": []}, {"platform", "userId", "permissions"}),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named(
    rest: httpx.AsyncClient, user: str, change: Json, fields: set[str]
) -> None:
    body = {
        "userId": user,
        "platform": "fi_money",
        "credentials": step.credentials_of(step.new_login()),
        "permissions": ["portfolio"],
        **change,
    }
    failure = failed(await rest.post("/connectors", json=body))
    assert failure.code == "VALIDATION_ERROR"
    assert failure.fields.keys() == fields
    assert (await step.of_user(rest, user))["connectors"] == []


# --- lists --------------------------------------------------------------------------------------


async def test_a_user_without_connectors(rest: httpx.AsyncClient, user: str) -> None:
    assert await step.of_user(rest, user) == {
        "connectors": [], "totalConnectors": 0, "activeConnections": 0,
    }  # fmt: skip
    for platform in PLATFORMS:
        found = await rest.get(f"/connectors/user/{user}/platform/{platform}")
        assert failed(found) == NO_CONNECTION


async def test_a_users_connectors_come_in_the_order_they_were_made(
    rest: httpx.AsyncClient, user: str
) -> None:
    made = [await step.connect(rest, user, platform) for platform in reversed(PLATFORMS)]
    await step.disconnect(rest, made[0]["id"])
    await step.connect(rest, user, "zerodha")  # made before, connected after
    of_user = await step.of_user(rest, user)
    assert [connector["id"] for connector in of_user["connectors"]] == [c["id"] for c in made]
    assert (of_user["totalConnectors"], of_user["activeConnections"]) == (2, 2)


@pytest.fixture(scope="module")
async def many(rest: httpx.AsyncClient) -> list[Json]:
    """Connectors of three users: one of each platform, the second user's disconnected."""
    made = []
    for _ in range(3):
        user_id = f"user_{uuid.uuid4().hex}"
        await step.create_user(rest, user_id)
        made += [await step.connect(rest, user_id, platform) for platform in PLATFORMS]
    for connector in made:
        await step.synced(rest, connector["id"])
    for connector in made[2:4]:
        await step.disconnect(rest, connector["id"])
    return made


async def test_a_list_across_users(rest: httpx.AsyncClient, many: list[Json]) -> None:
    ours = {connector["id"] for connector in many}

    async def ids(**filters: str) -> list[str]:
        return [c["id"] for c in await step.listed(rest, **filters) if c["id"] in ours]

    newest_first = [connector["id"] for connector in reversed(many)]
    assert await ids() == newest_first
    for platform in PLATFORMS:
        of_platform = [c["id"] for c in reversed(many) if c["platform"] == platform]
        assert await ids(platform=platform) == of_platform
        assert await ids(platform=platform, status="connected") == [of_platform[0], of_platform[2]]
        assert await ids(platform=platform, status="disconnected") == [of_platform[1]]
    assert await ids(status="disconnected") == [many[3]["id"], many[2]["id"]]
    assert await ids(status="error") == []
    assert await ids(status="expired") == []
    # A list has the same to say of a connector as its user's list has.
    everything = {connector["id"]: connector for connector in await step.listed(rest)}
    for user_id in {connector["userId"] for connector in many}:
        for connector in (await step.of_user(rest, user_id))["connectors"]:
            assert everything[connector["id"]] == connector


async def test_a_walk_by_token(rest: httpx.AsyncClient, new_id: str) -> None:
    made = []
    for number in range(3):
        await step.create_user(rest, f"{new_id}_{number}")
        made.append(await step.connect(rest, f"{new_id}_{number}", "zerodha", credentials={}))
    before = [connector["id"] for connector in await step.listed(rest, platform="zerodha")]
    assert before[:3] == [connector["id"] for connector in reversed(made)]
    parameters: Json = {"platform": "zerodha", "limit": 2}
    seen: list[str] = []  # ids alone, as those of other tests go on syncing
    while True:
        reply = await rest.get("/connectors", params=parameters)
        assert reply.status_code == 200
        assert content_of(reply).keys() == {"data"}
        page = reply.json()["data"]
        assert page.keys() == {"connectors", "pagination"}
        if not seen:
            # One comes and one that is still to be seen goes: nobody else is touched.
            await step.create_user(rest, f"{new_id}_late")
            await step.connect(rest, f"{new_id}_late", "zerodha", credentials={})
            assert (await rest.delete(f"/users/{new_id}_0")).status_code == 200
        seen += [connector["id"] for connector in page["connectors"]]
        token = page["pagination"].get("nextPageToken")
        assert page["pagination"] == ({} if token is None else {"nextPageToken": token})
        assert len(page["connectors"]) == 2 or token is None
        if token is None:
            break
        parameters["pageToken"] = token
    assert seen == [each for each in before if each != made[0]["id"]]


@pytest.mark.usefixtures("many")
async def test_a_token_is_bound_to_its_filters(rest: httpx.AsyncClient) -> None:
    first = (await rest.get("/connectors", params={"platform": "fi_money", "limit": 1})).json()
    token = first["data"]["pagination"]["nextPageToken"]
    for parameters in (
        {"pageToken": token},
        {"pageToken": token, "platform": "zerodha"},
        {"pageToken": token, "platform": "fi_money", "status": "connected"},
        {"pageToken": token[:-2], "platform": "fi_money"},
        {"pageToken": "nonsense", "platform": "fi_money"},
        {"pageToken": "", "platform": "fi_money"},
        {"pageToken": "x" * 513, "platform": "fi_money"},
    ):
        failure = failed(await rest.get("/connectors", params=parameters))
        assert failure.code == "VALIDATION_ERROR"
        assert failure.fields.keys() == {"pageToken"}
    other_limit = {"pageToken": token, "platform": "fi_money", "limit": "5"}
    assert (await rest.get("/connectors", params=other_limit)).status_code == 200


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/connectors?status=active", "status"),
        ("/connectors?status=", "status"),
        ("/connectors?platform=groww", "platform"),
        ("/connectors?limit=0", "limit"),
        ("/connectors?limit=101", "limit"),
        ("/connectors?limit=ten", "limit"),
        ("/connectors?userId=x", "userId"),
        ("/connectors/status?status=active", "status"),
        ("/connectors/status?platform=groww", "platform"),
        ("/connectors/status?fromDate=yesterday", "fromDate"),
        ("/connectors/status?fromDate=2024-02-30", "fromDate"),
        ("/connectors/status?fromDate=", "fromDate"),
        ("/connectors/status?toDate=2024-01-31T10:30", "toDate"),
        ("/connectors/status?toDate=31-01-2024", "toDate"),
        ("/connectors/status?toDate=9999-12-31T23:59:59-05:00", "toDate"),
        ("/connectors/user/a-b", "userId"),
        ("/connectors/user/someone/platform/groww", "platform"),
    ],
)
async def test_what_is_asked_for_is_checked(rest: httpx.AsyncClient, path: str, field: str) -> None:
    failure = failed(await rest.get(path))
    assert failure.code == "VALIDATION_ERROR"
    assert failure.message == "Validation failed"
    assert failure.fields.keys() == {field}


# --- the status summary -------------------------------------------------------------------------


def counted(connectors: list[Json]) -> Json:
    """The summary that connectors add up to."""
    statuses = Counter(connector["connectionStatus"] for connector in connectors)
    by_platform = {
        platform: Counter(c["connectionStatus"] for c in connectors if c["platform"] == platform)
        for platform in PLATFORMS
    }
    return {
        "summary": {
            "totalConnections": len(connectors),
            "activeConnections": statuses["connected"],
            "disconnectedConnections": statuses["disconnected"],
            "errorConnections": statuses["error"],
            "expiredConnections": statuses["expired"],
            "failingConnections": sum(connector["failing"] for connector in connectors),
        },
        "byPlatform": {
            platform: {
                "total": count.total(),
                "active": count["connected"],
                "disconnected": count["disconnected"],
                "error": count["error"],
                "expired": count["expired"],
                "failing": sum(c["failing"] for c in connectors if c["platform"] == platform),
            }
            for platform, count in by_platform.items()
        },
    }


async def agreeing(
    rest: httpx.AsyncClient,
    filters: dict[str, str],
    dates: dict[str, str] | None = None,
    fits: Callable[[Json], bool] = lambda connector: True,
) -> Json:
    """A summary, once the same is counted before and after a walk; it must be what the walk gives.

    The walk takes `filters`; the list knows no dates, so `fits` stands for those.
    """

    async def probe() -> tuple[Json, list[Json]] | None:
        before = await step.summary(rest, **filters, **(dates or {}))
        walk = await step.listed(rest, **filters)
        after = await step.summary(rest, **filters, **(dates or {}))
        return (before, walk) if before == after else None

    summary, walk = await step.eventually(probe, "a moment without changes")
    assert summary == counted([connector for connector in walk if fits(connector)])
    return summary


async def test_the_summary_is_a_count_of_the_connectors(
    rest: httpx.AsyncClient, many: list[Json]
) -> None:
    everything = await agreeing(rest, {})
    assert everything["summary"]["totalConnections"] >= len(many)
    for platform in PLATFORMS:
        assert everything["byPlatform"][platform]["active"] >= 2
        assert everything["byPlatform"][platform]["disconnected"] >= 1
        of_platform = await agreeing(rest, {"platform": platform})
        (other,) = set(PLATFORMS) - {platform}
        assert of_platform["byPlatform"][platform] == everything["byPlatform"][platform]
        assert set(of_platform["byPlatform"][other].values()) == {0}
        for status in STATUSES:
            await agreeing(rest, {"platform": platform, "status": status})
    for status in STATUSES:
        await agreeing(rest, {"status": status})


async def test_the_summary_follows_every_change(rest: httpx.AsyncClient, user: str) -> None:
    counts: Json = (await step.summary(rest, platform="fi_money"))["summary"]

    async def change() -> Json:
        """What changed since the last time."""
        nonlocal counts
        before, counts = counts, (await step.summary(rest, platform="fi_money"))["summary"]
        return {
            name: counts[name] - before[name] for name in counts if counts[name] != before[name]
        }

    made = await step.connect(rest, user)
    assert await change() == {"totalConnections": 1, "activeConnections": 1}
    await step.disconnect(rest, made["id"])
    assert await change() == {"activeConnections": -1, "disconnectedConnections": 1}
    await step.connect(rest, user, credentials={})
    assert await change() == {}, "a login that is pending is disconnected"
    await step.connect(rest, user)
    assert await change() == {"activeConnections": 1, "disconnectedConnections": -1}
    assert (await rest.delete(f"/users/{user}")).status_code == 200
    assert await change() == {"totalConnections": -1, "activeConnections": -1}


async def test_the_summary_over_a_span_of_time(
    rest: httpx.AsyncClient, user: str, many: list[Json]
) -> None:
    await step.connect(rest, user, credentials={})  # never connected: no date fits
    first, last = many[0]["connectedAt"], many[-1]["connectedAt"]

    def between(lower: str | None, upper: str | None) -> Callable[[Json], bool]:
        def fits(connector: Json) -> bool:
            if "connectedAt" not in connector:
                return False
            at = instant(connector["connectedAt"])
            return (lower is None or at >= instant(lower)) and (
                upper is None or at <= instant(upper)
            )

        return fits

    span = {"fromDate": first, "toDate": last}
    exact = await agreeing(rest, {}, span, between(first, last))
    assert exact["summary"]["totalConnections"] == 6
    one = await agreeing(rest, {}, {"fromDate": first, "toDate": first}, between(first, first))
    assert one["summary"]["totalConnections"] == 1
    filters = {"platform": "zerodha", "status": "connected"}
    active = await agreeing(rest, filters, span, between(first, last))
    assert active["summary"]["totalConnections"] == 2

    # A date alone is its whole day in UTC; a time of another zone is the same instant.
    day = first[:10]
    await agreeing(rest, {}, {"fromDate": day}, between(f"{day}T00:00:00Z", None))
    await agreeing(rest, {}, {"toDate": day}, between(None, f"{day}T23:59:59.999Z"))
    far = {"fromDate": first, "toDate": "9999-12-31"}
    assert (await agreeing(rest, {}, far, between(first, None)))["summary"]["totalConnections"] >= 6
    india = instant(first).astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
    assert await step.summary(rest, fromDate=india, toDate=last) == exact
    past = await step.summary(rest, fromDate="0001-01-01", toDate="2001-01-01")
    assert past == counted([])


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2024-02-01", "2024-01-31"),
        ("9999-12-31", "0001-01-01"),
        ("2024-01-31T10:30:00.001Z", "2024-01-31T10:30:00Z"),
        ("2024-01-31T10:30:00Z", "2024-01-31T15:59:59+05:30"),
        ("2024-02-01", "2024-01-31T23:59:59Z"),
    ],
)
async def test_a_span_of_time_runs_forwards(rest: httpx.AsyncClient, first: str, last: str) -> None:
    reply = await rest.get("/connectors/status", params={"fromDate": first, "toDate": last})
    assert failed(reply) == Failure(
        "VALIDATION_ERROR", "Validation failed", {"fromDate": "must not be after toDate"}
    )
    assert (await step.summary(rest, fromDate=last, toDate=first)).keys() == {
        "summary", "byPlatform",
    }  # fmt: skip


# --- disconnect and connect again ---------------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_disconnected_twice_is_disconnected_once(
    rest: httpx.AsyncClient, user: str, platform: str
) -> None:
    made = await step.connect(rest, user, platform)
    before = await step.synced(rest, made["id"])
    kept = await step.records(rest, made["id"])
    first = await rest.delete(f"/connectors/{made['id']}")
    whole = await step.get(rest, made["id"])
    assert whole["connectionStatus"] == "disconnected"
    assert "sessionId" not in whole
    assert whole["connectionDetails"] == {
        "connectedAt": made["connectedAt"],
        "disconnectedAt": first.json()["data"]["disconnectedAt"],
        "sessionDuration": 0,
        "lastSyncAt": before["lastSyncAt"],
        "syncInterval": 5,
        "expiresSoon": False,
    }
    again = await rest.delete(f"/connectors/{made['id']}")
    assert again.status_code == 200
    assert content_of(again) == content_of(first)
    assert await step.get(rest, made["id"]) == whole
    # History and records stay; nothing goes on.
    after = await step.sync_status(rest, made["id"])
    assert after == {key: value for key, value in before.items() if key != "nextSyncAt"}
    assert await step.records(rest, made["id"]) == kept
    begun = await rest.post(f"/connectors/{made['id']}/sync", json={})
    assert failed(begun) == Failure(
        "NOT_CONNECTED", "The connector is disconnected; connect it again"
    )


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_connected_again_it_keeps_its_id_and_history(
    rest: httpx.AsyncClient, user: str, platform: str
) -> None:
    login = step.credentials_of(step.new_login())
    made = await step.connect(
        rest, user, platform, credentials=login, permissions=["profile", "trades"]
    )
    before = await step.synced(rest, made["id"])
    await rest.put(f"/connectors/{made['id']}/sync-settings", json={"syncInterval": 7})
    await step.disconnect(rest, made["id"])

    again = await step.connect(rest, user, platform, credentials=login, permissions=["trades"])
    assert again == {
        **made,
        "sessionId": again["sessionId"],
        "connectedAt": again["connectedAt"],
        "permissions": ["trades"],
        "syncInterval": 7,
    }
    assert again["sessionId"] != made["sessionId"]
    assert instant(again["connectedAt"]) > instant(made["connectedAt"])
    after = await step.synced(rest, made["id"], 2)
    assert after["totalSyncs"] == 2
    assert after["syncHistory"][1:] == before["syncHistory"]
    assert after["syncHistory"][0]["addedCount"] == 0, "the same account: nothing is new"
    whole = await step.get(rest, made["id"])
    assert whole["createdAt"] == made["connectedAt"]
    assert "disconnectedAt" not in whole["connectionDetails"]
    assert whole["metadata"]["dataTypes"] == ["trades"]
    assert failed(await step.post(rest, user, platform)) == TAKEN


async def test_disconnecting_during_a_sync_cancels_it(rest: httpx.AsyncClient, user: str) -> None:
    made = await step.connect(rest, user, "fi_money", permissions=ALL)
    run = (await step.sync_status(rest, made["id"])).get("currentSyncId")
    assert run is not None, "it syncs right after connecting"
    await step.disconnect(rest, made["id"])
    status = await step.sync_status(rest, made["id"])
    assert "currentSyncId" not in status
    assert "nextSyncAt" not in status
    (entry,) = status["syncHistory"]
    assert (entry["status"], entry["errorCode"], entry["syncId"]) == (
        "failed", "RUN_CANCELLED", run,
    )  # fmt: skip
    assert entry["errorMessage"]
    assert (status["totalSyncs"], status["failedSyncs"], status["successRate"]) == (1, 1, 0)


# --- who is not there ---------------------------------------------------------------------------


async def test_an_unknown_user(rest: httpx.AsyncClient, new_id: str) -> None:
    missing = Failure("USER_NOT_FOUND", "User not found")
    assert failed(await step.post(rest, new_id, "fi_money")) == missing
    assert failed(await step.post(rest, new_id, "zerodha", credentials={})) == missing
    assert failed(await rest.get(f"/connectors/user/{new_id}")) == missing
    found = await rest.get(f"/connectors/user/{new_id}/platform/fi_money")
    assert failed(found) == NO_CONNECTION


Call = Callable[[httpx.AsyncClient, str], Awaitable[httpx.Response]]
CALLS: dict[str, Call] = {
    "get": lambda rest, name: rest.get(f"/connectors/{name}"),
    "disconnect": lambda rest, name: rest.delete(f"/connectors/{name}"),
    "refresh": lambda rest, name: rest.put(f"/connectors/{name}/refresh-session", json={}),
    "sync status": lambda rest, name: rest.get(f"/connectors/{name}/sync-status"),
    "settings": lambda rest, name: rest.put(
        f"/connectors/{name}/sync-settings", json={"syncInterval": 9}
    ),
    "sync": lambda rest, name: rest.post(f"/connectors/{name}/sync", json={}),
    "records": lambda rest, name: rest.get(f"/connectors/{name}/records"),
}


@pytest.mark.parametrize("call", CALLS)
async def test_an_unknown_connector(rest: httpx.AsyncClient, call: str) -> None:
    assert failed(await CALLS[call](rest, NOWHERE)) == NOT_FOUND


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", ["nope", NOWHERE[:-1], f"{NOWHERE}0", f"{NOWHERE[:-1]}g"])
async def test_a_malformed_id(rest: httpx.AsyncClient, call: str, name: str) -> None:
    assert failed(await CALLS[call](rest, name)) == Failure(
        "VALIDATION_ERROR", "Validation failed", {"connectorId": "must be 24 hexadecimal digits"}
    )


async def test_an_id_in_capitals_is_the_same_id(rest: httpx.AsyncClient, user: str) -> None:
    made = await step.connect(rest, user, "fi_money", permissions=["profile", "portfolio"])
    name, capitals = made["id"], made["id"].upper()
    assert name != capitals, "an id without letters tells nothing"
    await step.synced(rest, name)
    for path in ("", "/sync-status", "/records"):
        lower = await rest.get(f"/connectors/{name}{path}")
        upper = await rest.get(f"/connectors/{capitals}{path}")
        assert upper.status_code == 200
        assert content_of(upper) == content_of(lower)
    page = (await rest.get(f"/connectors/{capitals}/records", params={"limit": 5})).json()["data"]
    onward: dict[str, Any] = {"limit": 5, "pageToken": page["pagination"]["nextPageToken"]}
    lower = await rest.get(f"/connectors/{name}/records", params=onward)
    assert lower.status_code == 200
    assert len(lower.json()["data"]["records"]) == 5

    settings = await rest.put(f"/connectors/{capitals}/sync-settings", json={"syncInterval": 9})
    assert settings.status_code == 200
    assert (await step.get(rest, name))["connectionDetails"]["syncInterval"] == 9
    begun = await step.trigger(rest, capitals, dataTypes=["profile"])
    entry = await step.finished(rest, name, begun["data"]["syncId"])
    assert entry["recordsCount"] == 1
    assert entry["addedCount"] == 0, "kept under the same id as before"
    refreshed = (await rest.put(f"/connectors/{capitals}/refresh-session", json={})).json()["data"]
    assert (await step.get(rest, name))["sessionId"] == refreshed["sessionId"]
    gone = await rest.delete(f"/connectors/{capitals}")
    assert gone.json()["data"] == await step.disconnect(rest, name)


async def test_the_summary_is_no_connector(rest: httpx.AsyncClient) -> None:
    reply = await rest.get("/connectors/status")
    assert reply.status_code == 200
    assert reply.json()["data"].keys() == {"summary", "byPlatform"}
    assert failed(await rest.delete("/connectors/status")).fields.keys() == {"connectorId"}


async def test_a_server_that_refuses_says_itself_when_to_come_back(
    rest: httpx.AsyncClient, new_id: str
) -> None:
    await step.create_user(rest, new_id)
    wrong = {**step.credentials_of(step.new_login()), "password": "wrong"}
    for _ in range(ALLOWED):
        refused = await step.post(rest, new_id, "fi_money", credentials=wrong)
        assert refused.status_code in {400, 401, 422}
    stopped = await step.post(rest, new_id, "fi_money", credentials=wrong)
    assert stopped.status_code == 429
    assert WITHIN.total_seconds() < int(stopped.headers["retry-after"]) <= STOP.total_seconds()


async def test_parameters_of_a_cached_read_are_refused(
    rest: httpx.AsyncClient, new_id: str
) -> None:
    await step.create_user(rest, new_id)
    for path in (f"/users/{new_id}", f"/connectors/user/{new_id}"):
        for _ in range(4):  # ready in both workers
            assert (await rest.get(path)).status_code == 200
        for name in ("x", "userId"):
            reply = await rest.get(path, params={name: "other"})
            assert failed(reply).fields.keys() == {name}
        assert (await rest.get(f"{path}?")).status_code == 200
