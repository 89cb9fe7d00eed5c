"""Many connectors at once: logged in at the sandbox, due from the start, the API left out of it."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import httpx
from finlink_words import DataType

from server.config import Settings
from server.domains.connectors.connections.sessions import SessionVault, new_sync_id
from server.domains.connectors.connections.store import CONNECTORS, ConnectorStore
from server.domains.connectors.model import Connector, ConnectRequest
from server.platforms.base import PlatformSession
from server.storage.driver import ClientSession, Database, connected
from tests.chaos.ledger import OnMongoDb
from tests.sandbox.accounts import Accounts, Kite
from tests.sandbox.driver import API_SECRET

AT_ONCE = 32
# Zerodha's allowance is by app: with so many users of one, no run waits for it.
USERS_OF_ONE_APP = 5
WANTED: dict[str, Sequence[tuple[DataType, ...]]] = {
    "fi_money": [
        ("transactions",), ("portfolio",), ("trades",), ("profile",), ("profile",),
        ("portfolio", "trades"), ("transactions", "portfolio", "trades", "profile"),
    ],
    "zerodha": [("portfolio",), ("trades",), ("profile",), ("portfolio", "trades", "profile")],
}  # fmt: skip


class Place(Protocol):
    """A Finlink and its sandbox, however it is started."""

    @property
    def stack(self) -> OnMongoDb: ...

    @property
    def sandbox(self) -> Accounts: ...

    def vault(self, database: Database) -> SessionVault: ...


@dataclass(frozen=True)
class Member:
    """One connector of a herd."""

    connector_id: str
    platform: str
    login: str
    data_types: tuple[DataType, ...]
    session: PlatformSession


@asynccontextmanager
async def database(at: Place) -> AsyncIterator[Database]:
    """The ground's database, through the server's own driver, more patient than a server is."""
    settings = Settings(_env_file=None, mongodb_uri=at.stack.mongodb_uri, mongo_timeout_ms=30_000)  # type: ignore[arg-type,call-arg]
    async with connected(settings) as opened:
        yield opened


async def gather(
    at: Place, database: Database, count: int, draw: random.Random
) -> dict[str, Member]:
    """Connectors by id, every fourth at Kite, that want their first sync at once and later each minute."""
    room = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(timeout=30) as client:

        async def one(number: int, data_types: tuple[DataType, ...]) -> Member:
            async with room:
                log_in = _at_zerodha if number % 4 == 3 else _at_fi_money
                return await _joined(database, vault, data_types, *await log_in(at, client, number))

        vault = at.vault(database)
        chosen = [
            draw.choice(WANTED["zerodha" if n % 4 == 3 else "fi_money"]) for n in range(count)
        ]
        members = await asyncio.gather(*[one(n, types) for n, types in enumerate(chosen)])
    await database.collection(CONNECTORS).update_many(
        {}, {"$set": {"connectionDetails.syncInterval": 1}}
    )
    return {member.connector_id: member for member in members}


async def _at_fi_money(
    at: Place, client: httpx.AsyncClient, number: int
) -> tuple[str, str, PlatformSession]:
    session_id, phone = f"mcp-session-{uuid.uuid4()}", f"70{number:08}"
    form = {"sessionId": session_id, "phoneNumber": phone, "otp": ""}
    reply = await client.post(f"{at.sandbox.sandbox.fi_money}/login", data=form)
    assert reply.status_code == 200, reply.text
    secrets = {"session_id": session_id, "platform_user_id": f"fi_{phone}"}
    return "fi_money", phone, PlatformSession(f"fi_{phone}", "mcp", _tomorrow(), secrets)


async def _at_zerodha(
    at: Place, client: httpx.AsyncClient, number: int
) -> tuple[str, str, PlatformSession]:
    base_url, user_id = at.sandbox.sandbox.zerodha, f"H{number:06}"
    api_key = f"app_{number // (4 * USERS_OF_ONE_APP)}"
    login = {"api_key": api_key, "user_id": user_id, "password": "secret"}
    page = await client.post(f"{base_url}/connect/login", data=login)
    token = parse_qs(urlsplit(page.headers["location"]).query)["request_token"][0]
    form = Kite(at.sandbox.client, base_url, user_id, api_key).form("request_token", token)
    reply = await client.post(f"{base_url}/session/token", data=form)
    assert reply.status_code == 200, reply.text
    secrets = {
        "api_key": api_key,
        "api_secret": API_SECRET,
        "access_token": reply.json()["data"]["access_token"],
    }
    return "zerodha", user_id, PlatformSession(user_id, "individual", _tomorrow(), secrets)


async def _joined(
    database: Database,
    vault: SessionVault,
    data_types: tuple[DataType, ...],
    platform: str,
    login: str,
    session: PlatformSession,
) -> Member:
    user_id = f"user_{login}"
    key = vault.new_key(user_id, platform)
    wanted, sealed = ConnectRequest(user_id, platform, data_types, {}), vault.seal(key, session)

    async def store_it(transaction: ClientSession) -> Connector:
        await vault.store_key(key, transaction)
        return await ConnectorStore(database).connect(
            wanted, sealed, new_sync_id(), transaction, paused=False
        )

    made = await database.transact(store_it)
    return Member(made.id, platform, login, data_types, session)


def _tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


async def still(
    database: Database, meanwhile: Callable[[], Awaitable[object]] | None = None
) -> None:
    """Let no run begin any more, and return once those under way have ended."""
    connectors = database.collection(CONNECTORS)
    under_way: dict[str, Any] = {"$eq": [{"$type": "$sync.run"}, "object"]}
    kept = {"$cond": [under_way, "$sync.dueAt", "$$REMOVE"]}
    await connectors.update_many({}, [{"$set": {"sync.auto": False, "sync.dueAt": kept}}])
    while await connectors.find_one({"sync.run": {"$exists": True}}):
        # Those that wait for a worker need not wait any longer.
        waiting = {"sync.run": {"$exists": True}, "sync.run.startedAt": {"$exists": False}}
        await connectors.update_many(waiting, [{"$set": {"sync.dueAt": "$$NOW"}}])
        if meanwhile is not None:
            await meanwhile()
        await asyncio.sleep(0.1)
