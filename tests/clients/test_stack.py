"""The client against a running Finlink: what it answers, and every failure that can be provoked."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from finlink.connectors.v1.connector_reads_pb2 import (
    GetConnectorRequest,
    GetUserPlatformConnectorRequest,
    ListConnectorsRequest,
)
from finlink.connectors.v1.connector_service_pb2 import CreateConnectorRequest
from finlink.connectors.v1.record_pb2 import ListRecordsRequest, ListRecordsResponse
from finlink.connectors.v1.session_pb2 import (
    Credentials,
    DisconnectConnectorRequest,
    RefreshSessionRequest,
)
from finlink.users.v1.user_creation_pb2 import CreateUserRequest, DeleteUserRequest
from finlink.users.v1.user_lists_pb2 import ListUsersRequest, ListUsersResponse
from finlink.users.v1.user_service_pb2 import GetUserRequest
from finlink_client import (
    AlreadyConnected,
    ConnectionNotFound,
    ConnectorNotFound,
    FieldError,
    FinlinkError,
    InvalidCredentials,
    LimitExceeded,
    NotConnected,
    ReauthRequired,
    RouteNotFound,
    Unavailable,
    UserExists,
    UserNotFound,
    ValidationError,
)

from tests.clients.flavours import Client, Flavour
from tests.clients.scripted import Script

NO_CONNECTOR = "0" * 24
PASSWORD = "correct horse"


@pytest.fixture
async def user(client: Client, new_id: str) -> str:
    """The id of a user that exists."""
    await client.call(CreateUserRequest(user_id=new_id, email=f"{new_id}@example.com"))
    return new_id


def login(user: str, credentials: Credentials | None = None) -> CreateConnectorRequest:
    return CreateConnectorRequest(
        user_id=user, platform="fi_money", credentials=credentials, permissions=["profile"]
    )


def with_password(password: str = PASSWORD) -> Credentials:
    return Credentials(username="9876543210", password=password)


async def test_replies_are_the_contracts_messages(client: Client, user: str) -> None:
    reply = await client.call(GetUserRequest(user_id=user))
    assert reply.data.email == f"{user}@example.com"
    assert reply.data.preferences.currency == "INR"


async def test_a_wrong_request_names_its_fields(client: Client, new_id: str) -> None:
    request = CreateUserRequest(user_id=new_id, email="nobody", first_name="x" * 101)
    with pytest.raises(ValidationError) as caught:
        await client.call(request)
    assert {entry.field for entry in caught.value.fields} == {"email", "firstName"}


async def test_a_taken_email(client: Client, user: str, new_id: str) -> None:
    with pytest.raises(UserExists) as caught:
        await client.call(CreateUserRequest(user_id=f"{user}_2", email=f"{new_id}@example.com"))
    [entry] = caught.value.fields
    assert isinstance(entry, FieldError)
    assert entry.field == "email"


@pytest.mark.parametrize(
    ("request_message", "error_class"),
    [
        (GetUserRequest(user_id="nobody"), UserNotFound),
        (GetConnectorRequest(connector_id=NO_CONNECTOR), ConnectorNotFound),
        (
            GetUserPlatformConnectorRequest(user_id="nobody", platform="zerodha"),
            ConnectionNotFound,
        ),
    ],
    ids=["user", "connector", "connection"],
)
async def test_what_does_not_exist(
    client: Client, request_message: GetUserRequest, error_class: type[FinlinkError]
) -> None:
    with pytest.raises(error_class) as caught:
        await client.call(request_message)
    assert type(caught.value) is error_class


async def test_the_request_id_leads_to_the_servers_log(client: Client) -> None:
    with pytest.raises(UserNotFound) as caught:
        await client.call(
            GetUserRequest(user_id="nobody"), metadata=(("x-request-id", "from-a-test"),)
        )
    assert caught.value.request_id == "from-a-test"


async def test_refused_credentials_stay_secret(client: Client, user: str) -> None:
    with pytest.raises(InvalidCredentials) as caught:
        await client.call(login(user, with_password("wrong")))
    assert [entry.field for entry in caught.value.fields] == ["credentials.password"]
    assert "9876543210" not in repr(caught.value)


async def test_connecting_twice_and_using_what_is_disconnected(client: Client, user: str) -> None:
    connected = await client.call(login(user, with_password()))
    with pytest.raises(AlreadyConnected):
        await client.call(login(user, with_password()))
    await client.call(DisconnectConnectorRequest(connector_id=connected.data.id))
    with pytest.raises(NotConnected):
        await client.call(RefreshSessionRequest(connector_id=connected.data.id))


async def test_a_pending_login_says_where(client: Client, user: str) -> None:
    pending = await client.call(login(user))
    with pytest.raises(ReauthRequired) as caught:
        await client.call(RefreshSessionRequest(connector_id=pending.data.id))
    assert caught.value.login_url == pending.data.login_url != ""
    assert pending.data.login_url not in f"{caught.value!r} {caught.value}"


async def test_an_rpc_the_server_does_not_know(client: Client) -> None:
    with pytest.raises(RouteNotFound) as caught:
        await client.call_path("/finlink.users.v1.UserService/BefriendUser")
    assert caught.value.code == "ROUTE_NOT_FOUND"


async def test_a_request_of_a_megabyte(client: Client, new_id: str) -> None:
    with pytest.raises(LimitExceeded):
        await client.call(
            CreateUserRequest(user_id=new_id, email=f"{new_id}@example.com", city="x" * 1_000_000)
        )


async def test_nobody_at_the_address(flavour: Flavour, unused_port: int) -> None:
    async with flavour.connect(f"127.0.0.1:{unused_port}") as client:
        with pytest.raises(Unavailable):
            await client.call(DeleteUserRequest(user_id="nobody"))


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port that is taken and not listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


# Lists


async def test_users_are_walked_to_the_end(client: Client, new_id: str) -> None:
    ids = [f"{new_id}_{number}" for number in range(5)]
    for each in ids:
        await client.call(CreateUserRequest(user_id=each, email=f"{each}@a.example", city=new_id))
    newest_first = ids[::-1]

    request = ListUsersRequest(city=new_id, limit=2)
    assert [user.user_id for user in await client.iterate("users", request)] == newest_first
    assert request == ListUsersRequest(city=new_id, limit=2)

    from_second_page = ListUsersRequest(city=new_id, limit=2, page=2)
    users = await client.iterate("users", from_second_page, timeout=20)
    assert [user.user_id for user in users] == newest_first[2:]
    assert set(ids) <= {user.user_id for user in await client.iterate("users")}
    assert await client.iterate("users", ListUsersRequest(city=f"{new_id}x")) == []


async def test_connectors_are_walked_to_the_end(client: Client, user: str, new_id: str) -> None:
    zerodha = CreateConnectorRequest(
        user_id=user, platform="zerodha", credentials=with_password(), permissions=["profile"]
    )
    ids = [(await client.call(each)).data.id for each in (login(user, with_password()), zerodha)]
    listed = await client.iterate("connectors", ListConnectorsRequest(limit=1, status="connected"))
    assert [each.id for each in listed if each.user_id == user] == ids[::-1]
    assert set(ids) <= {each.id for each in await client.iterate("connectors")}


async def test_records_are_walked_in_large_pages(script: Script, scripted: Client) -> None:
    first, second = ListRecordsResponse(), ListRecordsResponse()
    first.data.records.add(id="a")
    first.data.records.add(id="b")
    first.data.pagination.next_page_token = "next"
    second.data.records.add(id="c")
    script.replies["ListRecords"].extend([first.SerializeToString(), second.SerializeToString()])
    request = ListRecordsRequest(connector_id=NO_CONNECTOR, data_type="trades")
    records = await scripted.iterate("records", request)
    assert [record.id for record in records] == ["a", "b", "c"]
    asked = [ListRecordsRequest.FromString(call.request) for call in script.received]
    assert [(each.limit, each.page_token) for each in asked] == [(100, ""), (100, "next")]
    assert {(each.connector_id, each.data_type) for each in asked} == {(NO_CONNECTOR, "trades")}


async def test_nothing_is_fetched_ahead(script: Script, scripted: Client) -> None:
    page = ListUsersResponse()
    page.data.users.add(user_id="asha")
    page.data.pagination.next_page_token = "next"
    script.replies["ListUsers"].append(page.SerializeToString())
    walk = scripted.finlink.iterate_users()
    user = next(walk) if isinstance(walk, Iterator) else await anext(walk)
    assert user.user_id == "asha"
    assert script.calls("ListUsers") == 1
