"""A user's way through Finlink, with asyncio.

python quickstart_async.py [ADDRESS]    default: FINLINK_ADDRESS, else localhost:50051

It logs in to the platforms as anybody, which their sandbox allows.
"""

import asyncio
import secrets
import sys

import finlink_client
from finlink.connectors.v1.connector_service_pb2 import CreateConnectorRequest
from finlink.connectors.v1.record_pb2 import ListRecordsRequest, Record
from finlink.connectors.v1.session_pb2 import Credentials, DisconnectConnectorRequest
from finlink.connectors.v1.sync_pb2 import SyncHistoryEntry
from finlink.connectors.v1.sync_service_pb2 import GetSyncStatusRequest
from finlink.users.v1.user_creation_pb2 import CreateUserRequest, DeleteUserRequest
from finlink_client import Finlink

PLATFORMS = {
    "fi_money": ["transactions", "portfolio", "profile"],
    "zerodha": ["portfolio", "trades", "profile"],
}


async def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else None
    async with finlink_client.connect(address) as finlink:
        user_id = f"demo_{secrets.token_hex(4)}"
        await finlink.users.CreateUser(
            CreateUserRequest(user_id=user_id, email=f"{user_id}@example.com", first_name="Asha")
        )
        print(f"Created user {user_id}")
        try:
            for platform, permissions in PLATFORMS.items():
                await visit(finlink, user_id, platform, permissions)
        finally:
            await finlink.users.DeleteUser(DeleteUserRequest(user_id=user_id))
            print(f"Deleted user {user_id}")


async def visit(finlink: Finlink, user_id: str, platform: str, permissions: list[str]) -> None:
    """Connect, wait for the first sync, look at some records, disconnect."""
    reply = await finlink.connectors.CreateConnector(
        CreateConnectorRequest(
            user_id=user_id,
            platform=platform,
            credentials=Credentials(username="9876543210", password="secret"),  # noqa: S106
            permissions=permissions,
        )
    )
    connector_id = reply.data.id
    print(f"Connected to {platform}")

    run = await first_sync(finlink, connector_id)
    print(f"  First sync: {run.status}, {run.records_count} records, among them")

    for data_type in permissions:
        request = ListRecordsRequest(connector_id=connector_id, data_type=data_type)
        async for record in finlink.iterate_records(request):
            print(f"    {described(record)}")
            break

    await finlink.connectors.DisconnectConnector(
        DisconnectConnectorRequest(connector_id=connector_id)
    )
    print(f"Disconnected from {platform}")


async def first_sync(finlink: Finlink, connector_id: str) -> SyncHistoryEntry:
    """The first run, once it has finished. Raises TimeoutError after half a minute."""
    for _ in range(150):
        reply = await finlink.sync.GetSyncStatus(GetSyncStatusRequest(connector_id=connector_id))
        if reply.data.sync_history:
            return reply.data.sync_history[-1]
        await asyncio.sleep(0.2)
    raise TimeoutError("The first sync takes too long")


def described(record: Record) -> str:
    """A line for people."""
    match record.WhichOneof("item"):
        case "transaction":
            item = record.transaction
            return f"{item.direction} of {item.amount.value} on {item.date}: {item.narration}"
        case "holding":
            return f"{record.holding.kind}: {record.holding.name}"
        case "trade":
            return f"{record.trade.side}: {record.trade.quantity} of {traded(record)}"
        case _:
            return f"profile of {record.profile.name or record.profile.platform_user_id}"


def traded(record: Record) -> str:
    return record.trade.symbol or record.trade.fund or record.trade.isin


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (finlink_client.FinlinkError, TimeoutError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
