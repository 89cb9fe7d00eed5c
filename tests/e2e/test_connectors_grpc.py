"""Every connector endpoint over gRPC, with the asyncio stubs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
from finlink.connectors.v1 import connector_pb2 as pb
from finlink.connectors.v1 import (
    connector_reads_pb2,
    record_pb2,
    session_pb2,
    status_summary_pb2,
    sync_service_pb2,
)
from finlink.connectors.v1 import connector_service_pb2 as rpc
from finlink.users.v1 import user_creation_pb2
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from tests.e2e import connector_steps as step
from tests.e2e.connector_steps import ALL, GRANTED, PLATFORMS
from tests.e2e.replies import content_of
from tests.e2e.users_errors import Failure, grpc_error

if TYPE_CHECKING:  # the names are in the type stubs only
    from finlink.connectors.v1.connector_service_pb2_grpc import ConnectorServiceAsyncStub
    from finlink.connectors.v1.sync_service_pb2_grpc import SyncServiceAsyncStub
    from finlink.users.v1.user_service_pb2_grpc import UserServiceAsyncStub

NOWHERE = "0123456789abcdef01234567"
NOT_FOUND = Failure("CONNECTOR_NOT_FOUND", "Connector not found")
NO_USER = Failure("USER_NOT_FOUND", "User not found")
NO_CONNECTION = Failure("CONNECTION_NOT_FOUND", "No connection found for this platform")
NOT_CONNECTED = Failure("NOT_CONNECTED", "The connector is disconnected; connect it again")


@pytest.fixture
async def user(rest: httpx.AsyncClient, new_id: str) -> str:
    await step.create_user(rest, new_id)
    return new_id


def request_for(
    user_id: str, platform: str = "fi_money", **fields: Any
) -> rpc.CreateConnectorRequest:
    """A request for the profile, with a login of its own, by default."""
    given = {
        "permissions": step.LITTLE,
        "credentials": session_pb2.Credentials(
            username=step.new_login(), password="platformPassword", api_key="platform_api_key"
        ),
        **fields,
    }
    return rpc.CreateConnectorRequest(user_id=user_id, platform=platform, **given)


async def connect(
    connectors: ConnectorServiceAsyncStub, user_id: str, platform: str = "fi_money", **fields: Any
) -> rpc.CreateConnectorData:
    return (await connectors.CreateConnector(request_for(user_id, platform, **fields))).data


async def get(connectors: ConnectorServiceAsyncStub, connector_id: str) -> pb.Connector:
    return (
        await connectors.GetConnector(
            connector_reads_pb2.GetConnectorRequest(connector_id=connector_id)
        )
    ).data


async def refused(call: Any) -> Failure:
    """The error of a call, which must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return grpc_error(raised.value)


def same(message: Message, over_rest: Any) -> bool:
    """Whether REST says of the same thing what gRPC does."""
    return bool(json_format.ParseDict(over_rest, type(message)()) == message)


# --- every call ---------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_connect_as_the_requirements_print_it(
    connectors: ConnectorServiceAsyncStub, user: str, platform: str
) -> None:
    asked = ["transactions", "portfolio", "profile"]
    reply = await connectors.CreateConnector(request_for(user, platform, permissions=asked))
    granted = [name for name in asked if name in GRANTED[platform]]
    assert reply == rpc.CreateConnectorResponse(
        message="Connected successfully",
        data=rpc.CreateConnectorData(
            id=reply.data.id,
            user_id=user,
            platform=platform,
            session_id=reply.data.session_id,
            connection_status="connected",
            connected_at=reply.data.connected_at,
            permissions=granted,
            sync_interval=5,
        ),
    )
    assert len(reply.data.id) == 24
    assert reply.data.session_id.startswith("sess_")
    assert reply.data.connected_at.seconds > 0
    connector = await get(connectors, reply.data.id)
    assert connector.connection_details.connected_at == reply.data.connected_at
    assert connector.created_at == reply.data.connected_at
    assert list(connector.metadata.permissions) == granted
    assert connector.session_id == reply.data.session_id


async def test_rest_and_grpc_say_the_same(
    connectors: ConnectorServiceAsyncStub,
    syncs: SyncServiceAsyncStub,
    rest: httpx.AsyncClient,
    user: str,
) -> None:
    made = [await connect(connectors, user, name, permissions=ALL) for name in PLATFORMS]
    for connector in made:
        await step.synced(rest, connector.id)
    await step.disconnect(rest, made[1].id)
    for connector in made:
        assert same(await get(connectors, connector.id), await step.get(rest, connector.id))
        status = await syncs.GetSyncStatus(
            sync_service_pb2.GetSyncStatusRequest(connector_id=connector.id)
        )
        assert same(status.data, await step.sync_status(rest, connector.id))
        found = await connectors.GetUserPlatformConnector(
            connector_reads_pb2.GetUserPlatformConnectorRequest(
                user_id=user, platform=connector.platform
            )
        )
        over_rest = await rest.get(f"/connectors/user/{user}/platform/{connector.platform}")
        assert same(found, content_of(over_rest))
        page = await connectors.ListRecords(
            record_pb2.ListRecordsRequest(connector_id=connector.id, data_type="trades", limit=7)
        )
        over_rest = await rest.get(
            f"/connectors/{connector.id}/records", params={"dataType": "trades", "limit": 7}
        )
        assert len(page.data.records) == 7
        assert same(page, content_of(over_rest))
    of_user = await connectors.ListUserConnectors(
        connector_reads_pb2.ListUserConnectorsRequest(user_id=user)
    )
    assert (of_user.data.total_connectors, of_user.data.active_connections) == (2, 1)
    assert same(of_user.data, await step.of_user(rest, user))


async def test_lists(
    connectors: ConnectorServiceAsyncStub, rest: httpx.AsyncClient, new_id: str
) -> None:
    made = []
    for number in range(3):
        await step.create_user(rest, f"{new_id}_{number}")
        request = request_for(
            f"{new_id}_{number}", "zerodha", credentials=session_pb2.Credentials()
        )
        made.append((await connectors.CreateConnector(request)).data)
    newest_first = [connector.id for connector in reversed(made)]
    where: dict[str, Any] = {"platform": "zerodha", "status": "disconnected", "limit": 2}
    first = (
        await connectors.ListConnectors(connector_reads_pb2.ListConnectorsRequest(**where))
    ).data
    assert [connector.id for connector in first.connectors] == newest_first[:2]
    assert first.connectors[0] == pb.ConnectorSummary(
        id=made[2].id,
        user_id=f"{new_id}_2",
        platform="zerodha",
        connection_status="disconnected",
        sync_interval=5,
        permissions=step.LITTLE,
        login_pending=True,
    )
    onward = connector_reads_pb2.ListConnectorsRequest(
        **where, page_token=first.pagination.next_page_token
    )
    second = (await connectors.ListConnectors(onward)).data
    assert second.connectors[0].id == newest_first[2]
    onward.platform = "fi_money"
    failure = await refused(connectors.ListConnectors(onward))
    assert failure.fields == {"pageToken": "belongs to other filters; send them unchanged"}
    last = (
        await connectors.ListConnectors(connector_reads_pb2.ListConnectorsRequest(limit=100))
    ).data
    while last.pagination.HasField("next_page_token"):
        token = last.pagination.next_page_token
        request_ = connector_reads_pb2.ListConnectorsRequest(limit=100, page_token=token)
        last = (await connectors.ListConnectors(request_)).data
    assert last.connectors


async def test_the_summary(
    connectors: ConnectorServiceAsyncStub, rest: httpx.AsyncClient, user: str
) -> None:
    made = await connect(connectors, user, "zerodha")
    moment = made.connected_at.ToJsonString()
    reply = await connectors.GetConnectorStatusSummary(
        status_summary_pb2.GetConnectorStatusSummaryRequest(
            platform="zerodha", status="connected", from_date=moment, to_date="9999-12-31"
        )
    )
    assert reply == status_summary_pb2.GetConnectorStatusSummaryResponse(
        data=status_summary_pb2.ConnectorStatusSummary(
            summary=status_summary_pb2.ConnectionCounts(total_connections=1, active_connections=1),
            by_platform={
                **{name: status_summary_pb2.PlatformCounts() for name in PLATFORMS},
                "zerodha": status_summary_pb2.PlatformCounts(total=1, active=1),
            },
        )
    )
    everything = await connectors.GetConnectorStatusSummary(
        status_summary_pb2.GetConnectorStatusSummaryRequest()
    )
    assert same(everything.data, await step.summary(rest))
    backwards = status_summary_pb2.GetConnectorStatusSummaryRequest(
        from_date="2024-02-01", to_date="2024-01-31"
    )
    assert await refused(connectors.GetConnectorStatusSummary(backwards)) == Failure(
        "VALIDATION_ERROR", "Validation failed", {"fromDate": "must not be after toDate"}
    )


async def test_refresh_and_disconnect(
    connectors: ConnectorServiceAsyncStub, syncs: SyncServiceAsyncStub, user: str
) -> None:
    made = await connect(connectors, user, "zerodha")
    before = await get(connectors, made.id)
    refresh = session_pb2.RefreshSessionRequest(connector_id=made.id)
    refreshed = await connectors.RefreshSession(refresh)
    assert refreshed == session_pb2.RefreshSessionResponse(
        message="Session refreshed successfully",
        data=session_pb2.RefreshSessionData(
            session_id=refreshed.data.session_id,
            expires_at=before.connection_details.expires_at,
        ),
    )
    assert refreshed.data.session_id != made.session_id
    assert await connectors.RefreshSession(refresh) == refreshed

    disconnect = session_pb2.DisconnectConnectorRequest(connector_id=made.id)
    gone = await connectors.DisconnectConnector(disconnect)
    assert gone == session_pb2.DisconnectConnectorResponse(
        message="Disconnected successfully",
        data=session_pb2.DisconnectConnectorData(
            platform="zerodha", disconnected_at=gone.data.disconnected_at, session_duration=0
        ),
    )
    assert gone.data.disconnected_at.ToNanoseconds() > made.connected_at.ToNanoseconds()
    assert await connectors.DisconnectConnector(disconnect) == gone
    after = await get(connectors, made.id)
    assert after.connection_status == "disconnected"
    assert not after.HasField("session_id")
    assert await refused(connectors.RefreshSession(refresh)) == NOT_CONNECTED
    begin = sync_service_pb2.TriggerSyncRequest(connector_id=made.id)
    assert await refused(syncs.TriggerSync(begin)) == NOT_CONNECTED


async def test_settings_and_syncs(
    connectors: ConnectorServiceAsyncStub,
    syncs: SyncServiceAsyncStub,
    rest: httpx.AsyncClient,
    user: str,
) -> None:
    made = await connect(connectors, user, permissions=["transactions", "profile"])
    await step.synced(rest, made.id)
    reply = await syncs.UpdateSyncSettings(
        sync_service_pb2.UpdateSyncSettingsRequest(
            connector_id=made.id, sync_interval=10, data_types=["profile"], auto_sync=False
        )
    )
    assert reply == sync_service_pb2.UpdateSyncSettingsResponse(
        message="Sync settings updated successfully",
        data=sync_service_pb2.SyncSettings(
            sync_interval=10, data_types=["profile"], auto_sync=False
        ),
    )
    # Over gRPC an empty list cannot be told from none: it leaves the data types as they are.
    reply = await syncs.UpdateSyncSettings(
        sync_service_pb2.UpdateSyncSettingsRequest(
            connector_id=made.id, data_types=[], auto_sync=True
        )
    )
    assert reply.data == sync_service_pb2.SyncSettings(
        sync_interval=10, data_types=["profile"], auto_sync=True
    )
    begun = await syncs.TriggerSync(
        sync_service_pb2.TriggerSyncRequest(
            connector_id=made.id, data_types=["transactions", "profile"]
        )
    )
    assert begun == sync_service_pb2.TriggerSyncResponse(
        message="Sync initiated successfully",
        data=sync_service_pb2.TriggerSyncData(
            sync_id=begun.data.sync_id,
            status="in_progress",
            estimated_duration="less than a minute",
        ),
    )
    entry = await step.finished(rest, made.id, begun.data.sync_id)
    assert [count["dataType"] for count in entry["counts"]] == ["transactions", "profile"]
    skipped = await syncs.TriggerSync(
        sync_service_pb2.TriggerSyncRequest(connector_id=made.id, force_sync=False)
    )
    assert skipped == sync_service_pb2.TriggerSyncResponse(
        message="Sync skipped",
        data=sync_service_pb2.TriggerSyncData(
            sync_id=begun.data.sync_id, status="skipped", reason="recent_success"
        ),
    )
    status = (
        await syncs.GetSyncStatus(sync_service_pb2.GetSyncStatusRequest(connector_id=made.id))
    ).data
    assert (status.total_syncs, status.successful_syncs, status.failed_syncs) == (2, 2, 0)
    assert status.success_rate == 100
    assert status.sync_interval == 10
    assert not status.HasField("current_sync_id")
    assert status.sync_history[0].sync_id == begun.data.sync_id


async def test_records(
    connectors: ConnectorServiceAsyncStub, rest: httpx.AsyncClient, user: str
) -> None:
    made = await connect(connectors, user, permissions=ALL)
    (entry,) = (await step.synced(rest, made.id))["syncHistory"]
    fields = {
        "transactions": "transaction", "portfolio": "holding", "profile": "profile",
        "trades": "trade",
    }  # fmt: skip
    for count in entry["counts"]:
        request = record_pb2.ListRecordsRequest(
            connector_id=made.id.upper(), data_type=count["dataType"], limit=100
        )
        seen: list[str] = []
        while True:
            page = (await connectors.ListRecords(request)).data
            seen += [record.id for record in page.records]
            for record in page.records:
                assert record.data_type == count["dataType"]
                assert record.WhichOneof("item") == fields[count["dataType"]]
            if not page.pagination.HasField("next_page_token"):
                break
            request.page_token = page.pagination.next_page_token
        assert len(seen) == len(set(seen)) == count["recordsCount"]


async def test_a_login_that_is_pending(
    connectors: ConnectorServiceAsyncStub, syncs: SyncServiceAsyncStub, user: str
) -> None:
    request = request_for(user, "zerodha", credentials=None, permissions=["profile"])
    reply = await connectors.CreateConnector(request)
    assert reply == rpc.CreateConnectorResponse(
        message="Login required",
        data=rpc.CreateConnectorData(
            id=reply.data.id,
            user_id=user,
            platform="zerodha",
            connection_status="disconnected",
            permissions=["profile"],
            sync_interval=5,
            login_url=reply.data.login_url,
        ),
    )
    required = Failure(
        "REAUTH_REQUIRED",
        "The platform wants a new login",
        metadata={"loginUrl": reply.data.login_url},
    )
    begin = sync_service_pb2.TriggerSyncRequest(connector_id=reply.data.id)
    assert await refused(syncs.TriggerSync(begin)) == required
    refresh = session_pb2.RefreshSessionRequest(connector_id=reply.data.id)
    assert await refused(connectors.RefreshSession(refresh)) == required
    token = await step.request_token(reply.data.login_url, step.new_login())
    refresh.credentials.request_token = token
    completed = await connectors.RefreshSession(refresh)
    connector = await get(connectors, reply.data.id)
    assert connector.connection_status == "connected"
    assert connector.session_id == completed.data.session_id
    assert connector.connection_details.expires_at == completed.data.expires_at


# --- errors -------------------------------------------------------------------------------------


async def test_an_error_comes_with_its_details(
    connectors: ConnectorServiceAsyncStub, syncs: SyncServiceAsyncStub, user: str
) -> None:
    """As google.rpc.Status has them, taken apart without help."""
    request = request_for(user, "zerodha", credentials=None)
    made = (await connectors.CreateConnector(request)).data
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await syncs.TriggerSync(sync_service_pb2.TriggerSyncRequest(connector_id=made.id))
    trailers = dict(raised.value.trailing_metadata() or ())
    details = trailers["grpc-status-details-bin"]
    assert isinstance(details, bytes)
    status = status_pb2.Status.FromString(details)
    assert raised.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert status.code == code_pb2.FAILED_PRECONDITION
    assert status.message == raised.value.details() == "The platform wants a new login"
    (detail,) = status.details
    info = error_details_pb2.ErrorInfo()
    assert detail.Unpack(info)
    assert info == error_details_pb2.ErrorInfo(
        reason="REAUTH_REQUIRED", domain="finlink", metadata={"loginUrl": made.login_url}
    )


async def test_who_is_there_already(connectors: ConnectorServiceAsyncStub, user: str) -> None:
    calls = [connectors.CreateConnector(request_for(user)) for _ in range(3)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    errors = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert len(errors) == 2
    for error in errors:
        assert error.code() == grpc.StatusCode.ALREADY_EXISTS
        assert grpc_error(error) == Failure(
            "ALREADY_CONNECTED", "Already connected to this platform"
        )


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_refused_credentials(
    connectors: ConnectorServiceAsyncStub, user: str, platform: str
) -> None:
    wrong = session_pb2.Credentials(username=step.new_login(), password="wrong")
    failure = await refused(
        connectors.CreateConnector(request_for(user, platform, credentials=wrong))
    )
    assert failure == Failure(
        "INVALID_CREDENTIALS",
        "Invalid credentials",
        {"credentials.password": "The platform refuses the password"},
    )
    look_up = connector_reads_pb2.GetUserPlatformConnectorRequest(user_id=user, platform=platform)
    assert await refused(connectors.GetUserPlatformConnector(look_up)) == NO_CONNECTION


async def test_zerodha_has_no_transactions(
    connectors: ConnectorServiceAsyncStub, user: str
) -> None:
    request = request_for(user, "zerodha", permissions=["transactions"])
    assert await refused(connectors.CreateConnector(request)) == Failure(
        "INVALID_CREDENTIALS",
        "The platform grants none of the permissions asked for",
        {"permissions": "zerodha can grant portfolio, trades, profile"},
    )


@pytest.mark.parametrize(
    ("connector_id", "failure"),
    [
        (NOWHERE, NOT_FOUND),
        (NOWHERE.upper(), NOT_FOUND),
        *(
            (
                malformed,
                Failure(
                    "VALIDATION_ERROR",
                    "Validation failed",
                    {"connectorId": "must be 24 hexadecimal digits"},
                ),
            )
            for malformed in ("", "nope", f"{NOWHERE}0")
        ),
    ],
)
async def test_a_connector_that_is_not_there(
    connectors: ConnectorServiceAsyncStub,
    syncs: SyncServiceAsyncStub,
    connector_id: str,
    failure: Failure,
) -> None:
    calls = [
        connectors.GetConnector(connector_reads_pb2.GetConnectorRequest(connector_id=connector_id)),
        connectors.DisconnectConnector(
            session_pb2.DisconnectConnectorRequest(connector_id=connector_id)
        ),
        connectors.RefreshSession(session_pb2.RefreshSessionRequest(connector_id=connector_id)),
        syncs.GetSyncStatus(sync_service_pb2.GetSyncStatusRequest(connector_id=connector_id)),
        syncs.UpdateSyncSettings(
            sync_service_pb2.UpdateSyncSettingsRequest(connector_id=connector_id, auto_sync=True)
        ),
        syncs.TriggerSync(sync_service_pb2.TriggerSyncRequest(connector_id=connector_id)),
        connectors.ListRecords(record_pb2.ListRecordsRequest(connector_id=connector_id)),
    ]
    for call in calls:
        assert await refused(call) == failure


async def test_a_user_who_is_not_there(connectors: ConnectorServiceAsyncStub, new_id: str) -> None:
    assert await refused(connectors.CreateConnector(request_for(new_id))) == NO_USER
    of_user = connector_reads_pb2.ListUserConnectorsRequest(user_id=new_id)
    assert await refused(connectors.ListUserConnectors(of_user)) == NO_USER
    look_up = connector_reads_pb2.GetUserPlatformConnectorRequest(
        user_id=new_id, platform="zerodha"
    )
    assert await refused(connectors.GetUserPlatformConnector(look_up)) == NO_CONNECTION


async def test_every_wrong_field_is_named_by_its_json_name(
    connectors: ConnectorServiceAsyncStub,
    syncs: SyncServiceAsyncStub,
) -> None:
    request = rpc.CreateConnectorRequest(
        user_id="no spaces",
        platform="groww",
        permissions=["portfolio", "payments"],
        credentials=session_pb2.Credentials(api_key="", request_token="x" * 1025),
    )
    failure = await refused(connectors.CreateConnector(request))
    assert failure.code == "VALIDATION_ERROR"
    assert failure.fields.keys() == {
        "userId", "platform", "permissions[1]", "credentials.apiKey", "credentials.requestToken",
    }  # fmt: skip
    settings = sync_service_pb2.UpdateSyncSettingsRequest(
        connector_id=NOWHERE, sync_interval=61, data_types=["profile", "profile"]
    )
    failure = await refused(syncs.UpdateSyncSettings(settings))
    assert failure.fields.keys() == {"syncInterval", "dataTypes"}


async def test_an_update_of_nothing_is_refused(
    connectors: ConnectorServiceAsyncStub, syncs: SyncServiceAsyncStub, user: str
) -> None:
    made = await connect(connectors, user)
    empty = sync_service_pb2.UpdateSyncSettingsRequest(connector_id=made.id)
    assert await refused(syncs.UpdateSyncSettings(empty)) == Failure(
        "VALIDATION_ERROR", "Nothing to update: send syncInterval, dataTypes or autoSync"
    )


async def test_what_is_not_granted_cannot_be_synced(
    connectors: ConnectorServiceAsyncStub, syncs: SyncServiceAsyncStub, user: str
) -> None:
    made = await connect(connectors, user, "zerodha", permissions=["profile", "trades"])
    refusal = Failure(
        "VALIDATION_ERROR",
        "Validation failed",
        {"dataTypes": ("portfolio not granted to this connector; granted are profile, trades")},
    )
    asked = ["profile", "portfolio"]
    begin = sync_service_pb2.TriggerSyncRequest(connector_id=made.id, data_types=asked)
    assert await refused(syncs.TriggerSync(begin)) == refusal
    settings = sync_service_pb2.UpdateSyncSettingsRequest(connector_id=made.id, data_types=asked)
    assert await refused(syncs.UpdateSyncSettings(settings)) == refusal


async def test_deleting_the_user_takes_the_connectors_along(
    connectors: ConnectorServiceAsyncStub, users: UserServiceAsyncStub, user: str
) -> None:
    made = await connect(connectors, user)
    await users.DeleteUser(user_creation_pb2.DeleteUserRequest(user_id=user))
    assert await refused(get(connectors, made.id)) == NOT_FOUND
    records = record_pb2.ListRecordsRequest(connector_id=made.id)
    assert await refused(connectors.ListRecords(records)) == NOT_FOUND
