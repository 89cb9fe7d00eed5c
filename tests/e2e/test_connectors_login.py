"""Logins that a person completes, sessions that end, users who go, and secrets that stay secret."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
from bson import CodecOptions, ObjectId
from bson.raw_bson import RawBSONDocument
from finlink.connectors.v1 import connector_service_pb2 as rpc
from finlink.connectors.v1 import session_pb2

from server.domains.connectors.connections.documents import connector
from server.domains.connectors.connections.sessions import SessionVault
from server.security.keys import SINGLE, decode_key
from server.security.ring import KeyRing
from server.storage.data_keys import DataKeyStore
from server.storage.driver import connected
from tests.e2e import connector_steps as step
from tests.e2e.connector_steps import PLATFORMS, Json, instant
from tests.e2e.replies import content_of
from tests.e2e.users_errors import Failure, failed, is_instant
from tests.stack import Stack
from tests.storage.databases import settings

if TYPE_CHECKING:  # the name is in the type stubs only
    from finlink.connectors.v1.connector_service_pb2_grpc import ConnectorServiceAsyncStub

NOT_FOUND = Failure("CONNECTOR_NOT_FOUND", "Connector not found")
NO_CONNECTION = Failure("CONNECTION_NOT_FOUND", "No connection found for this platform")
NOT_CONNECTED = Failure("NOT_CONNECTED", "The connector is disconnected; connect it again")
ANOTHER_ACCOUNT = Failure(
    "INVALID_CREDENTIALS",
    "Invalid credentials",
    {"credentials": "belong to another account of the platform than this connector"},
)


@pytest.fixture
async def user(rest: httpx.AsyncClient, new_id: str) -> str:
    await step.create_user(rest, new_id)
    return new_id


async def refresh(
    rest: httpx.AsyncClient, connector_id: str, credentials: dict[str, str] | None = None
) -> httpx.Response:
    """Without a body at all where there are no credentials."""
    if credentials is None:
        return await rest.put(f"/connectors/{connector_id}/refresh-session")
    return await rest.put(
        f"/connectors/{connector_id}/refresh-session", json={"credentials": credentials}
    )


async def refreshed(
    rest: httpx.AsyncClient, connector_id: str, credentials: dict[str, str] | None = None
) -> Json:
    reply = await refresh(rest, connector_id, credentials)
    assert reply.status_code == 200, reply.text
    assert reply.json()["message"] == "Session refreshed successfully"
    data: Json = reply.json()["data"]
    assert data.keys() == {"sessionId", "expiresAt"}
    return data


def login_wanted(login_url: str) -> Failure:
    return Failure(
        "REAUTH_REQUIRED", "The platform wants a new login", metadata={"loginUrl": login_url}
    )


async def begin_login(rest: httpx.AsyncClient, user_id: str, platform: str, **given: str) -> Json:
    """A connector whose login is pending, checked to be one."""
    reply = await step.post(rest, user_id, platform, credentials=given)
    assert reply.status_code == 201
    body = content_of(reply)
    data: Json = body["data"]
    assert body == {
        "message": "Login required",
        "data": {
            "id": data["id"],
            "userId": user_id,
            "platform": platform,
            "connectionStatus": "disconnected",
            "permissions": ["profile"],
            "syncInterval": 5,
            "loginUrl": data["loginUrl"],
        },
    }
    return data


# --- logins that are pending --------------------------------------------------------------------


async def test_a_kite_login_is_completed_with_its_request_token(
    stack: Stack, rest: httpx.AsyncClient, user: str
) -> None:
    login = step.new_login()
    made = await begin_login(rest, user, "zerodha")
    assert made["loginUrl"].startswith(f"{step.zerodha(stack)}/connect/login?v=3&api_key=")
    before = await step.get(rest, made["id"])
    assert before["connectionStatus"] == "disconnected"
    assert before["connectionDetails"] == {
        "sessionDuration": 0,
        "syncInterval": 5,
        "expiresSoon": False,
    }
    assert before["metadata"] == {"permissions": ["profile"], "dataTypes": ["profile"]}
    assert before["loginPending"]
    (listed,) = (await step.of_user(rest, user))["connectors"]
    assert listed["loginPending"]
    wanted = login_wanted(made["loginUrl"])
    assert failed(await rest.post(f"/connectors/{made['id']}/sync", json={})) == wanted
    assert failed(await refresh(rest, made["id"])) == wanted
    assert "sessionId" not in await step.get(rest, made["id"])

    used = await step.request_token(made["loginUrl"], login)
    session = await refreshed(rest, made["id"], {"requestToken": used})
    status = await step.synced(rest, made["id"])
    assert (status["totalSyncs"], status["successfulSyncs"]) == (1, 1)
    after = await step.get(rest, made["id"])
    assert "loginPending" not in after
    (listed,) = (await step.of_user(rest, user))["connectors"]
    assert "loginPending" not in listed
    assert after["connectionStatus"] == "connected"
    assert after["sessionId"] == session["sessionId"]
    assert after["connectionDetails"]["expiresAt"] == session["expiresAt"]
    assert instant(after["connectionDetails"]["connectedAt"]) > instant(before["createdAt"])
    assert after["metadata"]["platformUserId"] == login.upper()
    (profile,) = await step.records(rest, made["id"], "profile")
    assert profile["profile"]["platformUserId"] == login.upper()


async def test_a_fi_login_is_completed_at_its_page(
    stack: Stack, rest: httpx.AsyncClient, user: str
) -> None:
    made = await begin_login(rest, user, "fi_money")
    assert made["loginUrl"].startswith(f"{step.fi_money(stack)}/mockWebPage?sessionId=mcp-session-")
    wanted = login_wanted(made["loginUrl"])
    assert failed(await rest.post(f"/connectors/{made['id']}/sync", json={})) == wanted
    assert failed(await refresh(rest, made["id"])) == wanted, "nobody has logged in yet"

    page = await step.log_in(made["loginUrl"], phoneNumber="9876543210", otp="123456")
    assert page.status_code == 200
    session = await refreshed(rest, made["id"])
    status = await step.synced(rest, made["id"])
    assert (status["totalSyncs"], status["successfulSyncs"]) == (1, 1)
    after = await step.get(rest, made["id"])
    assert after["connectionStatus"] == "connected"
    assert after["sessionId"] == session["sessionId"]
    assert re.fullmatch(r"fi_[0-9a-f]{32}", after["metadata"]["platformUserId"])
    (profile,) = await step.records(rest, made["id"], "profile")
    assert profile["profile"]["platformUserId"] == after["metadata"]["platformUserId"]
    assert profile["profile"]["institutions"], "it is a customer's data"
    # The data of a live connector tell nothing of how to log in.
    assert "loginUrl" not in after


async def test_a_request_token_that_is_refused_leaves_the_login_pending(
    rest: httpx.AsyncClient, user: str
) -> None:
    made = await begin_login(rest, user, "zerodha")
    token = await step.request_token(made["loginUrl"], step.new_login())
    for credentials in (
        {"requestToken": uuid.uuid4().hex},
        {"requestToken": token, "apiSecret": "not_the_secret"},
        {"requestToken": token, "apiKey": "another_key"},
    ):
        failure = failed(await refresh(rest, made["id"], credentials))
        assert failure.code == "INVALID_CREDENTIALS"
        assert failure.message == "Invalid credentials"
        assert failure.fields.keys() == {"credentials.requestToken"}
    begun = await rest.post(f"/connectors/{made['id']}/sync", json={})
    assert failed(begun) == login_wanted(made["loginUrl"])
    await refreshed(rest, made["id"], {"requestToken": token})


async def test_a_request_token_connects_at_once(
    stack: Stack, rest: httpx.AsyncClient, user: str
) -> None:
    """For apps that send their users to Kite's page before they call Finlink."""
    login, page = step.new_login(), f"{step.zerodha(stack)}/connect/login?v=3&api_key=my_app"
    credentials = {
        "apiKey": "my_app",
        "apiSecret": step.KITE_SECRET,
        "requestToken": await step.request_token(page, login),
    }
    made = await step.connect(rest, user, "zerodha", credentials=credentials)
    assert made["connectionStatus"] == "connected"
    assert (await step.get(rest, made["id"]))["metadata"]["platformUserId"] == login.upper()
    await step.disconnect(rest, made["id"])
    again = await step.post(rest, user, "zerodha", credentials=credentials)
    assert failed(again).fields.keys() == {"credentials.requestToken"}, "it is good for one login"


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_connecting_with_a_login_pending_starts_again(
    rest: httpx.AsyncClient, user: str, platform: str
) -> None:
    first = await begin_login(rest, user, platform)
    second = await begin_login(rest, user, platform)
    assert second["id"] == first["id"]
    made = await step.connect(rest, user, platform)
    assert (made["id"], made["connectionStatus"]) == (first["id"], "connected")
    assert (await step.synced(rest, made["id"]))["totalSyncs"] == 1


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_pending_login_can_be_given_up(
    rest: httpx.AsyncClient, user: str, platform: str
) -> None:
    made = await begin_login(rest, user, platform)
    gone = await rest.delete(f"/connectors/{made['id']}")
    assert gone.status_code == 200
    data = gone.json()["data"]
    assert is_instant(data["disconnectedAt"])
    assert content_of(gone) == {
        "message": "Disconnected successfully",
        "data": {
            "platform": platform,
            "disconnectedAt": data["disconnectedAt"],
            "sessionDuration": 0,
        },
    }
    assert await step.disconnect(rest, made["id"]) == data
    assert failed(await refresh(rest, made["id"])) == NOT_CONNECTED
    assert failed(await rest.post(f"/connectors/{made['id']}/sync", json={})) == NOT_CONNECTED


# --- refreshing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_session_is_refreshed(rest: httpx.AsyncClient, user: str, platform: str) -> None:
    made = await step.connect(rest, user, platform)
    before = await step.get(rest, made["id"])
    first = await refreshed(rest, made["id"])
    assert first["sessionId"] != made["sessionId"]
    # Neither platform renews sessions, but both still accept this one.
    assert first["expiresAt"] == before["connectionDetails"]["expiresAt"]
    assert await refreshed(rest, made["id"]) == first, "asked for again within 10 seconds"
    after = await step.get(rest, made["id"])
    assert after["sessionId"] == first["sessionId"]
    assert after["connectionDetails"]["connectedAt"] == made["connectedAt"]
    assert after["metadata"] == before["metadata"]
    assert (await step.sync(rest, made["id"]))["status"] == "success"


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_of_many_refreshes_at_once_one_is_done(
    rest: httpx.AsyncClient, user: str, platform: str
) -> None:
    made = await step.connect(rest, user, platform)
    responses = await asyncio.gather(*(refreshed(rest, made["id"]) for _ in range(5)))
    assert responses == [responses[0]] * 5
    assert (await step.get(rest, made["id"]))["sessionId"] == responses[0]["sessionId"]


async def test_a_completed_login_replies_again(rest: httpx.AsyncClient, user: str) -> None:
    """Whoever repeats the call that got no reply may do so, single-use token or not."""
    made = await begin_login(rest, user, "zerodha")
    token = await step.request_token(made["loginUrl"], step.new_login())
    responses = await asyncio.gather(
        *(refreshed(rest, made["id"], {"requestToken": token}) for _ in range(3))
    )
    assert responses == [responses[0]] * 3
    assert await refreshed(rest, made["id"], {"requestToken": token}) == responses[0]
    assert (await step.synced(rest, made["id"]))["totalSyncs"] == 1


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_live_session_needs_nobodys_credentials(
    rest: httpx.AsyncClient, user: str, platform: str
) -> None:
    made = await step.connect(rest, user, platform)
    before = await step.get(rest, made["id"])
    session = await refreshed(rest, made["id"], step.credentials_of(step.new_login()))
    after = await step.get(rest, made["id"])
    assert after["sessionId"] == session["sessionId"] != made["sessionId"]
    assert after["metadata"] == before["metadata"]


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_what_is_disconnected_cannot_be_refreshed(
    rest: httpx.AsyncClient, user: str, platform: str
) -> None:
    login = step.credentials_of(step.new_login())
    made = await step.connect(rest, user, platform, credentials=login)
    await step.disconnect(rest, made["id"])
    assert failed(await refresh(rest, made["id"])) == NOT_CONNECTED
    assert failed(await refresh(rest, made["id"], login)) == NOT_CONNECTED
    assert (await step.get(rest, made["id"]))["connectionStatus"] == "disconnected"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"credentials": {"requestToken": ""}}, "credentials.requestToken"),
        ({"credentials": {"token": "x"}}, "credentials.token"),
        ({"requestToken": "x"}, "requestToken"),
    ],
)
async def test_what_is_wrong_with_a_refresh_is_named(
    rest: httpx.AsyncClient, user: str, body: Json, field: str
) -> None:
    made = await begin_login(rest, user, "zerodha")
    reply = await rest.put(f"/connectors/{made['id']}/refresh-session", json=body)
    failure = failed(reply)
    assert failure.code == "VALIDATION_ERROR"
    assert failure.fields.keys() == {field}


# --- sessions that end at the platform ----------------------------------------------------------


async def status_of(rest: httpx.AsyncClient, connector_id: str, status: str) -> Json:
    """The connector, once it has that status."""

    async def probe() -> Json | None:
        found = await step.get(rest, connector_id)
        return found if found["connectionStatus"] == status else None

    return await step.eventually(probe, f"{connector_id} to be {status}")


async def login_prepared(rest: httpx.AsyncClient, connector_id: str) -> Failure:
    """How a sync of an expired connector is refused, once the page to log in at is known."""

    async def probe() -> Failure | None:
        failure = failed(await rest.post(f"/connectors/{connector_id}/sync", json={}))
        assert failure.code == "REAUTH_REQUIRED"
        return failure if failure.metadata else None

    return await step.eventually(probe, f"a login for {connector_id}")


async def test_a_session_that_ended_elsewhere_expires(
    stack: Stack, rest: httpx.AsyncClient, user: str
) -> None:
    login, key = step.new_login(), f"key_{uuid.uuid4().hex}"
    credentials = {**step.credentials_of(login), "apiKey": key}
    made = await step.connect(rest, user, "zerodha", credentials=credentials)
    first = await step.synced(rest, made["id"])
    kept = await step.records(rest, made["id"])

    # The same user logs in to the same app elsewhere: Kite ends the session that Finlink has.
    await step.zerodha_session(stack, login.upper(), key)
    run = (await step.trigger(rest, made["id"]))["data"]["syncId"]
    expired = await status_of(rest, made["id"], "expired")
    entry = expired["syncHistory"][0]
    assert (entry["syncId"], entry["status"], entry["errorCode"]) == (
        run, "failed", "REAUTH_REQUIRED",
    )  # fmt: skip
    (error,) = expired["errors"]
    assert error == {
        "errorCode": "REAUTH_REQUIRED",
        "errorMessage": entry["errorMessage"],
        "occurredAt": entry["syncedAt"],
    }
    assert "sessionId" not in expired
    assert is_instant(expired["connectionDetails"]["disconnectedAt"])
    assert expired["metadata"]["platformUserId"] == login.upper()
    status = await step.sync_status(rest, made["id"])
    assert "nextSyncAt" not in status
    assert "currentSyncId" not in status
    assert status["lastSyncAt"] == first["lastSyncAt"]
    assert (status["totalSyncs"], status["failedSyncs"]) == (2, 1)
    assert await step.records(rest, made["id"]) == kept
    of_user = await step.of_user(rest, user)
    assert (of_user["totalConnectors"], of_user["activeConnections"]) == (1, 0)
    ours = {c["id"] for c in await step.listed(rest, status="expired", platform="zerodha")}
    assert made["id"] in ours
    span = {"fromDate": made["connectedAt"], "toDate": made["connectedAt"]}
    counts = await step.summary(rest, status="expired", **span)
    assert (
        counts["summary"]["expiredConnections"] == counts["byPlatform"]["zerodha"]["expired"] == 1
    )

    # It says where to log in; somebody else's login is no help, the same user's is.
    wanted = login_wanted(f"{step.zerodha(stack)}/connect/login?v=3&api_key={key}")
    assert await login_prepared(rest, made["id"]) == wanted
    assert failed(await refresh(rest, made["id"])) == wanted
    other = {**step.credentials_of(step.new_login()), "apiKey": key}
    assert failed(await refresh(rest, made["id"], other)) == ANOTHER_ACCOUNT
    token = await step.request_token(wanted.metadata["loginUrl"], step.new_login())
    assert failed(await refresh(rest, made["id"], {"requestToken": token})) == ANOTHER_ACCOUNT
    assert (await step.get(rest, made["id"]))["connectionStatus"] == "expired"

    session = await refreshed(rest, made["id"], credentials)
    back = await step.get(rest, made["id"])
    assert back["connectionStatus"] == "connected"
    assert back["sessionId"] == session["sessionId"]
    assert "disconnectedAt" not in back["connectionDetails"]
    assert back["errors"] == [error], "what went wrong is remembered"
    status = await step.synced(rest, made["id"], 3)
    assert status["syncHistory"][0]["status"] == "success"
    assert status["syncHistory"][0]["addedCount"] == 0
    assert [r["id"] for r in await step.records(rest, made["id"])] == [r["id"] for r in kept]


async def test_a_refresh_finds_that_the_session_ended(
    stack: Stack, rest: httpx.AsyncClient, user: str
) -> None:
    login, key = step.new_login(), f"key_{uuid.uuid4().hex}"
    credentials = {**step.credentials_of(login), "apiKey": key}
    made = await step.connect(rest, user, "zerodha", credentials=credentials)
    await step.synced(rest, made["id"])
    await step.zerodha_session(stack, login.upper(), key)
    wanted = login_wanted(f"{step.zerodha(stack)}/connect/login?v=3&api_key={key}")
    assert failed(await refresh(rest, made["id"])) == wanted
    expired = await step.get(rest, made["id"])
    assert expired["connectionStatus"] == "expired"
    assert [error["errorCode"] for error in expired["errors"]] == ["REAUTH_REQUIRED"]
    begun = await rest.post(f"/connectors/{made['id']}/sync", json={})
    assert failed(begun) == wanted
    # Logged in at the page, as a person does.
    token = await step.request_token(wanted.metadata["loginUrl"], login)
    await refreshed(rest, made["id"], {"requestToken": token})
    assert (await step.synced(rest, made["id"], 2))["successfulSyncs"] == 2


async def test_an_expired_connector_can_be_connected_or_disconnected(
    stack: Stack, rest: httpx.AsyncClient, user: str
) -> None:
    login, key = step.new_login(), f"key_{uuid.uuid4().hex}"
    credentials = {**step.credentials_of(login), "apiKey": key}
    made = await step.connect(rest, user, "zerodha", credentials=credentials)
    for runs in (1, 2):
        await step.synced(rest, made["id"], runs)
        await step.zerodha_session(stack, login.upper(), key)
        assert failed(await refresh(rest, made["id"])).code == "REAUTH_REQUIRED"
        if runs == 1:
            again = await step.connect(rest, user, "zerodha", credentials=credentials)
            assert (again["id"], again["connectionStatus"]) == (made["id"], "connected")
    ended = (await step.get(rest, made["id"]))["connectionDetails"]["disconnectedAt"]
    gone = await step.disconnect(rest, made["id"])
    assert gone["disconnectedAt"] == ended, "the session had ended before"
    assert failed(await refresh(rest, made["id"])) == NOT_CONNECTED


async def test_the_session_of_another_connector_does_not_open(
    stack: Stack, rest: httpx.AsyncClient, new_id: str
) -> None:
    """Whoever can write to the database cannot hand one user's session to another."""
    made = []
    for number in range(2):
        await step.create_user(rest, f"{new_id}_{number}")
        made.append((await step.connect(rest, f"{new_id}_{number}", "zerodha"))["id"])
        await step.synced(rest, made[-1])
    async with step.database(stack) as documents:
        stolen = (await step.document(documents, made[0]))["credentials"]["encryptedToken"]
        await documents["connectors"].update_one(
            {"_id": ObjectId(made[1])}, {"$set": {"credentials.encryptedToken": stolen}}
        )
    await step.trigger(rest, made[1])
    expired = await status_of(rest, made[1], "expired")
    assert expired["errors"][0]["errorCode"] == "REAUTH_REQUIRED"
    assert (await step.get(rest, made[0]))["connectionStatus"] == "connected"


# --- users who go -------------------------------------------------------------------------------


async def secrets_of(documents: step.Documents, connector_ids: Iterable[str]) -> list[str]:
    """What is stored, sealed, of the logins and sessions of connectors."""
    sealed: list[str] = []
    for connector_id in connector_ids:
        credentials = (await step.document(documents, connector_id))["credentials"]
        sealed += [value for value in credentials.values() if isinstance(value, str)]
    return sealed


async def test_disconnecting_destroys_the_credentials(
    stack: Stack, rest: httpx.AsyncClient, new_id: str
) -> None:
    made = []
    for pending in (False, True):
        await step.create_user(rest, f"{new_id}_{pending}")
        for platform in PLATFORMS:
            given = {} if pending else step.credentials_of(step.new_login())
            made.append(
                await step.connect(rest, f"{new_id}_{pending}", platform, credentials=given)
            )
    async with step.database(stack) as documents:
        sealed = await secrets_of(documents, [connector["id"] for connector in made])
        assert len(sealed) == 4
        for connector in made:
            await step.disconnect(rest, connector["id"])
            assert "credentials" not in await step.document(documents, connector["id"])
        assert await found_in_database(documents, sealed) == set()


async def test_who_is_deleted_takes_everything_along(
    stack: Stack, rest: httpx.AsyncClient, user: str
) -> None:
    login = step.credentials_of(step.new_login())
    made = {
        platform: await step.connect(
            rest, user, platform, credentials=login, permissions=["profile", "trades"]
        )
        for platform in PLATFORMS
    }
    ids = [connector["id"] for connector in made.values()]
    for connector_id in ids:
        await step.synced(rest, connector_id)
    before = await step.summary(rest)
    of_connectors: Json = {"connectorId": {"$in": ids}}
    async with step.database(stack) as documents:
        sealed = await secrets_of(documents, ids)
        assert len(sealed) == 2
        assert await documents["records"].count_documents(of_connectors) > 0
        assert (await rest.delete(f"/users/{user}")).status_code == 200

        # Gone at once from every read and count.
        for connector_id in ids:
            for reply in (
                await rest.get(f"/connectors/{connector_id}"),
                await rest.get(f"/connectors/{connector_id}/records"),
                await rest.get(f"/connectors/{connector_id}/sync-status"),
                await rest.post(f"/connectors/{connector_id}/sync", json={}),
                await rest.put(
                    f"/connectors/{connector_id}/sync-settings", json={"autoSync": True}
                ),
                await refresh(rest, connector_id),
                await rest.delete(f"/connectors/{connector_id}"),
            ):
                assert failed(reply) == NOT_FOUND
        for platform in PLATFORMS:
            found = await rest.get(f"/connectors/user/{user}/platform/{platform}")
            assert failed(found) == NO_CONNECTION
        assert failed(await rest.get(f"/connectors/user/{user}")).code == "USER_NOT_FOUND"
        assert not {c["id"] for c in await step.listed(rest)} & set(ids)
        after = await step.summary(rest)
        assert after["summary"]["totalConnections"] == before["summary"]["totalConnections"] - 2
        for platform in PLATFORMS:
            assert after["byPlatform"][platform]["active"] == (
                before["byPlatform"][platform]["active"] - 1
            )
        assert await documents["connectors"].count_documents({"userId": user}) == 0
        assert await found_in_database(documents, sealed) == set()

        async def erased() -> bool:
            return await documents["records"].count_documents(of_connectors) == 0

        await step.eventually(erased, "the records to be erased")

    # Who comes again inherits nothing, though it be the same logins.
    await step.create_user(rest, user)
    assert (await step.of_user(rest, user))["connectors"] == []
    for platform in PLATFORMS:
        again = await step.connect(rest, user, platform, credentials=login)
        assert again["id"] not in ids
        assert again["sessionId"] != made[platform]["sessionId"]
        (entry,) = (await step.synced(rest, again["id"]))["syncHistory"]
        assert entry["addedCount"] == entry["recordsCount"] > 0
        for connector_id in ids:
            assert failed(await rest.get(f"/connectors/{connector_id}/records")) == NOT_FOUND


async def test_a_sync_under_way_leaves_nothing_of_who_is_deleted(
    stack: Stack, rest: httpx.AsyncClient, user: str
) -> None:
    made = await step.connect(rest, user, "fi_money", permissions=step.ALL)
    async with step.database(stack) as documents:

        async def started() -> bool:
            return "startedAt" in (await step.document(documents, made["id"]))["sync"]["run"]

        async def ended() -> bool:
            """Broken off; or done, where it was faster than the deletion."""
            lines = [line for line in stack.log.read_text().splitlines() if made["id"] in line]
            return any("sync lost its lease" in line or "sync finished" in line for line in lines)

        async def erased() -> bool:
            return await documents["record_erasures"].find_one({"_id": made["id"]}) is None

        await step.eventually(started, "the sync to start")
        assert (await rest.delete(f"/users/{user}")).status_code == 200
        await step.eventually(ended, "the sync to end")
        await step.eventually(erased, "the records to be erased")
        assert await documents["records"].count_documents({"connectorId": made["id"]}) == 0


@pytest.mark.parametrize("goodbye", ["disconnected", "user deleted"])
async def test_who_leaves_is_logged_out_at_zerodha(
    stack: Stack, rest: httpx.AsyncClient, user: str, goodbye: str
) -> None:
    key = f"key_{uuid.uuid4().hex}"
    credentials = {**step.credentials_of(step.new_login()), "apiKey": key}
    made = await step.connect(rest, user, "zerodha", credentials=credentials)
    (token,) = await platform_tokens(stack, made["id"])

    async def accepted() -> bool:
        async with httpx.AsyncClient(base_url=step.zerodha(stack)) as app:
            reply = await app.get(
                "/user/profile", headers={"Authorization": f"token {key}:{token}"}
            )
        assert reply.status_code in {200, 403}
        return reply.status_code == 200

    assert await accepted()
    if goodbye == "disconnected":
        await step.disconnect(rest, made["id"])
    else:
        assert (await rest.delete(f"/users/{user}")).status_code == 200
    assert not await accepted()


# --- users who are not active -------------------------------------------------------------------


@pytest.mark.parametrize("status", ["suspended", "inactive"])
async def test_the_syncs_of_a_user_who_is_not_active_stand_still(
    stack: Stack, rest: httpx.AsyncClient, user: str, status: str
) -> None:
    made = await step.connect(rest, user, "zerodha")
    before = await step.synced(rest, made["id"])
    assert "nextSyncAt" in before
    await rest.put(f"/users/{user}/status", json={"status": "active"})
    assert await step.sync_status(rest, made["id"]) == before, "it was active all along"
    await rest.put(f"/users/{user}/status", json={"status": status})
    stopped = {key: value for key, value in before.items() if key != "nextSyncAt"}
    assert await step.sync_status(rest, made["id"]) == stopped
    assert (await step.get(rest, made["id"]))["connectionStatus"] == "connected"
    skipped = {
        "message": "Sync skipped",
        "data": {
            "syncId": before["syncHistory"][0]["syncId"],
            "status": "skipped",
            "reason": "user_not_active",
        },
    }
    assert await step.trigger(rest, made["id"]) == skipped
    assert await step.trigger(rest, made["id"], forceSync=True) == skipped
    # Neither a change of settings nor a refresh sets it going.
    await rest.put(f"/connectors/{made['id']}/sync-settings", json={"syncInterval": 1})
    await refreshed(rest, made["id"])
    assert "nextSyncAt" not in await step.sync_status(rest, made["id"])
    async with step.database(stack) as documents:
        await step.make_due(documents, made["id"])
        await step.judged(documents, made["id"])
    assert await step.sync_status(rest, made["id"]) == {**stopped, "syncInterval": 1}

    await rest.put(f"/users/{user}/status", json={"status": "active"})
    after = await step.synced(rest, made["id"], 2)
    assert after["successfulSyncs"] == 2
    assert "nextSyncAt" in after


async def test_suspending_a_user_cancels_the_run_under_way(
    rest: httpx.AsyncClient, user: str
) -> None:
    made = await step.connect(rest, user, "fi_money", permissions=step.ALL)
    run = (await step.sync_status(rest, made["id"]))["currentSyncId"]
    await rest.put(f"/users/{user}/status", json={"status": "suspended"})
    status = await step.sync_status(rest, made["id"])
    assert "currentSyncId" not in status
    (entry,) = status["syncHistory"]
    assert (entry["syncId"], entry["status"], entry["errorCode"]) == (
        run,
        "failed",
        "RUN_CANCELLED",
    )


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_who_is_not_active_can_connect_but_does_not_sync(
    rest: httpx.AsyncClient, user: str, platform: str
) -> None:
    await rest.put(f"/users/{user}/status", json={"status": "suspended"})
    made = await step.connect(rest, user, platform)
    assert made["connectionStatus"] == "connected"
    status = await step.sync_status(rest, made["id"])
    assert status["totalSyncs"] == 0
    assert status.keys().isdisjoint({"currentSyncId", "nextSyncAt", "lastSyncAt"})
    assert await step.trigger(rest, made["id"]) == {
        "message": "Sync skipped",
        "data": {"status": "skipped", "reason": "user_not_active"},
    }
    await rest.put(f"/users/{user}/status", json={"status": "active"})
    assert (await step.synced(rest, made["id"]))["successfulSyncs"] == 1


async def test_a_user_who_turned_syncs_off_comes_back_without(
    stack: Stack, rest: httpx.AsyncClient, user: str
) -> None:
    made = await step.connect(rest, user, "zerodha")
    await step.synced(rest, made["id"])
    await rest.put(f"/connectors/{made['id']}/sync-settings", json={"autoSync": False})
    for status in ("suspended", "active"):
        await rest.put(f"/users/{user}/status", json={"status": status})
        after = await step.sync_status(rest, made["id"])
        assert "nextSyncAt" not in after
        async with step.database(stack) as documents:
            assert "dueAt" not in (await step.document(documents, made["id"]))["sync"]
    assert (await step.sync(rest, made["id"]))["status"] == "success", "by hand it goes on"


# --- secrets ------------------------------------------------------------------------------------


async def platform_tokens(stack: Stack, *connector_ids: str) -> list[str]:
    """What opens the platforms' sessions of connectors, read as a worker reads it."""
    key = decode_key((stack.data_dir / "encryption.key").read_text().strip())
    tokens = []
    of_stack = settings(stack.mongodb_uri, "pymongo", db_name="financial_app")
    async with step.database(stack) as documents, connected(of_stack) as database:
        vault = SessionVault(DataKeyStore(database, KeyRing({SINGLE: key})))
        for connector_id in connector_ids:
            found = connector(await step.document(documents, connector_id))
            secrets = (await vault.open(found)).secrets
            tokens.append(secrets.get("access_token") or secrets["session_id"])
    return tokens


async def found_in_database(documents: step.Documents, secrets: Iterable[str]) -> set[str]:
    """Those of `secrets` that are in any document, in any case."""
    raw: list[bytes] = []
    for name in await documents.list_collection_names():
        collection: Any = documents.get_collection(
            name, codec_options=CodecOptions(document_class=RawBSONDocument)
        )
        raw += [document.raw async for document in collection.find({})]
    assert raw
    return found_in(raw, secrets)


def found_in_logs(stack: Stack, secrets: Iterable[str]) -> set[str]:
    """Those of `secrets` that any process has written down, in any case."""
    files = [stack.log, *(stack.data_dir / "log").iterdir()]
    assert len(files) > 1
    return found_in((path.read_bytes() for path in files), secrets)


def found_in(texts: Iterable[bytes], secrets: Iterable[str]) -> set[str]:
    everything = b"\0".join(texts).lower()
    return {secret for secret in secrets if secret.lower().encode() in everything}


def unique(what: str) -> str:
    return f"{what}{uuid.uuid4().hex[:20]}"


async def test_secrets_are_nowhere(
    stack: Stack, rest: httpx.AsyncClient, connectors: ConnectorServiceAsyncStub, new_id: str
) -> None:
    secrets: set[str] = set()
    responses: list[httpx.Response] = []

    def secret(what: str) -> str:
        made = unique(what)
        secrets.add(made)
        return made

    async def ask(user_id: str, platform: str, **given: Any) -> Json:
        responses.append(await step.post(rest, user_id, platform, credentials=given))
        data: Json = responses[-1].json().get("data", {})
        return data

    async def complete(connector_id: str, **credentials: str) -> None:
        responses.append(await refresh(rest, connector_id, credentials))

    async def sync(connector_id: str) -> None:
        responses.append(await rest.post(f"/connectors/{connector_id}/sync", json={}))

    users = [f"{new_id}_{number}" for number in range(4)]
    for user_id in users:
        await step.create_user(rest, user_id)
    # Refused, at the platforms and before.
    for platform in PLATFORMS:
        given = {"username": secret("user"), "apiKey": secret("key"), "apiSecret": secret("s")}
        await ask(users[0], platform, **given, password="wrong")
        await ask(users[0], platform, **given, password=secret("pass") + "\x01")
        await ask(users[0], platform, **given, passWord=secret("pass"))
        await ask(users[0], platform, **given, password=[secret("pass")])
        await ask(users[0], platform, **given, password=secret("pass") * 60)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await connectors.CreateConnector(
                rpc.CreateConnectorRequest(
                    user_id=users[0],
                    platform=platform,
                    permissions=["profile"],
                    credentials=session_pb2.Credentials(
                        username=given["username"], password="wrong"
                    ),
                )
            )
        assert found_in([str(raised.value).encode()], secrets) == set()
    await ask(users[0], "zerodha", apiSecret=f"{secret('s')} with spaces")
    await ask(users[0], "zerodha", requestToken=secret("token"))
    assert all(reply.status_code == 400 for reply in responses)

    # Connected. Kite's user name is a user id, and no secret: it comes back as one.
    kite_user, app = unique("user"), secret("key")
    fi_made = await ask(users[1], "fi_money", username=secret("user"), password=secret("pass"))
    kite_made = await ask(
        users[1], "zerodha", username=kite_user, password=secret("pass"), apiKey=app
    )

    # By way of the pages, the first time with a secret that is not the app's.
    kite_pending = await ask(users[2], "zerodha", apiKey=secret("key"), apiSecret=secret("s"))
    fi_pending = await ask(users[2], "fi_money", apiKey=secret("key"))
    urls = [kite_pending["loginUrl"], fi_pending["loginUrl"]]
    secrets |= {urls[0].rpartition("=")[2], urls[1].rpartition("=")[2]}  # app key, MCP session
    for connector_ in (kite_pending, fi_pending):
        await sync(connector_["id"])
        await complete(connector_["id"])
    token = await step.request_token(urls[0], unique("user"))
    secrets.add(token)
    await complete(kite_pending["id"], requestToken=token)
    await complete(kite_pending["id"], requestToken=token, apiSecret=secret("s"))
    await complete(kite_pending["id"], requestToken=token, apiSecret=step.KITE_SECRET)
    await step.log_in(urls[1], phoneNumber=secret("9"), otp=secret("pass"))
    await complete(fi_pending["id"], username=secret("user"))
    made = [connector_["id"] for connector_ in (fi_made, kite_made, kite_pending, fi_pending)]
    for connector_id in made:
        assert (await step.synced(rest, connector_id))["successfulSyncs"] == 1
    secrets |= set(await platform_tokens(stack, *made))

    # Expired.
    await step.zerodha_session(stack, kite_user.upper(), app)
    await complete(kite_made["id"])
    await sync(kite_made["id"])
    assert responses[-1].json()["error"]["metadata"]["loginUrl"].endswith(app)

    for connector_id in made:
        responses.append(await rest.get(f"/connectors/{connector_id}"))
        responses.append(await rest.get(f"/connectors/{connector_id}/records"))
    async with step.database(stack) as documents:
        assert await found_in_database(documents, {*secrets, *urls}) == set()
        assert await found_in_database(documents, [kite_user]) == {kite_user}, "it can be found"
    assert found_in_logs(stack, {*secrets, *urls, kite_user, "loginUrl", "login_url"}) == set()
    assert found_in_logs(stack, made) == set(made), "it can be found"
    # A reply shows the address of a login page, and nothing else.
    reported = [
        reply.text.replace(url, "") for reply in responses for url in urls if url in reply.text
    ]
    reported += [reply.text for reply in responses if not any(url in reply.text for url in urls)]
    reported = [text.replace(f"api_key={app}", "") for text in reported]
    assert len(reported) == len(responses)
    assert found_in((text.encode() for text in reported), secrets) == set()
