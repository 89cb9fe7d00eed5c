"""Passwords and sessions for the users of `bench.data`, written straight into MongoDB."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import Any

from bson import ObjectId
from pymongo import MongoClient
from pymongo.database import Database as PlainDatabase
from pymongo.write_concern import WriteConcern

from bench import data
from bench.session import Session
from bench.stacks import ENCRYPTION_KEY
from server.commands.database import key_ring
from server.core.principals import Role
from server.domains.identity.credentials.accounts import store as account_store
from server.domains.identity.credentials.passwords.scheme import PasswordScheme
from server.domains.identity.sessions import store as session_store
from server.domains.identity.sessions.model import LoginSession
from server.domains.identity.sessions.refresh_tokens import RefreshTokens
from server.domains.identity.wiring.basis import PEPPER, REFRESH
from server.settings import load
from server.storage.driver import Database, connected
from server.storage.keyed_secrets import KeyedSecrets
from server.storage.mapping import Mapped

PASSWORD = "correct horse battery staple"  # noqa: S105 - of users who were invented
ROUNDS = 12
MARKER = "bench_people"
_BATCH = 5_000
_SESSION = Mapped(LoginSession)
Document = dict[str, Any]


@dataclass(frozen=True)
class People:
    """What the benchmark knows of its users beside their names."""

    hashed: str  # PASSWORD, as it is stored
    tokens: RefreshTokens


@asynccontextmanager
async def database_of(up: Session, users: int) -> AsyncIterator[Database]:
    settings = load(
        _env_file=None, mongodb_uri=up.uri, db_name=data.database_name(users),
        encryption_key=ENCRYPTION_KEY, mongo_timeout_ms=60_000,
    )  # fmt: skip
    async with connected(settings) as database:
        yield database


async def known(up: Session, users: int) -> People:
    """Once a Finlink has used the database: its secrets are there."""
    ring = key_ring(load(_env_file=None, encryption_key=ENCRYPTION_KEY))
    async with database_of(up, users) as database:
        secrets = KeyedSecrets(database, ring)
        pepper, refresh = await secrets.get(PEPPER), await secrets.get(REFRESH)
    hashed = PasswordScheme({"1": pepper}, "1", ROUNDS).hash(PASSWORD)
    return People(hashed, RefreshTokens(refresh))


def ensure(up: Session, users: int, people: People) -> None:
    """Give each user a password and a session, unless they have them."""
    with MongoClient[Document](up.uri, tz_aware=True) as client:
        database = client[data.database_name(users)]
        marker = {"_id": "people", "hashed": people.hashed.rpartition("$")[0]}
        if database[MARKER].find_one(marker) is not None:
            return
        for name, models in {**account_store.INDEXES, **session_store.INDEXES}.items():
            database[name].drop()
            database[name].create_indexes(list(models))
        _fill(database, people, users, up)
        database[MARKER].replace_one({"_id": "people"}, marker, upsert=True)


def _fill(database: PlainDatabase[Document], people: People, users: int, up: Session) -> None:
    unsynced = WriteConcern(w=1, j=False)
    found = iter(database["users"].find({}, {"userId": 1}))
    done = 0
    while batch := list(islice(found, _BATCH)):
        for name, documents in (
            (account_store.CREDENTIALS, [account(user, people) for user in batch]),
            (session_store.LOGIN_SESSIONS, [new_session(user) for user in batch]),
        ):
            database[name].with_options(write_concern=unsynced).insert_many(
                documents, ordered=False
            )
        done += len(batch)
        up.show_progress("people", done, users)


def account(user: Document, people: People) -> Document:
    password = {"hash": people.hashed, "changedAt": datetime.now(UTC)}
    return {"_id": user["_id"], "userId": user["userId"], "password": password, "deviceEpoch": 0}


def new_session(user: Document, role: Role = Role.USER) -> Document:
    now = datetime.now(UTC)
    model = LoginSession(
        id=str(ObjectId()), user=str(user["_id"]), user_id=user["userId"], role=role, kind="token",
        amr=("pwd",), created_at=now, auth_time=now, last_seen_at=now,
        expires_at=now + timedelta(days=7), max_at=now + timedelta(days=30), counter=1,
        address="203.0.113.7", user_agent="bench", device_name="bench",
    )  # fmt: skip
    return _SESSION.write(model)


def sign_in(
    up: Session, users: int, people: People, names: Sequence[str], role: Role = Role.USER
) -> list[str]:
    """Refresh tokens of new sessions of these users, who get this role."""
    with MongoClient[Document](up.uri, tz_aware=True) as client:
        database = client[data.database_name(users)]
        query = {"userId": {"$in": list(names)}}
        if role is not Role.USER:
            database["users"].update_many(query, {"$set": {"role": role.name.lower()}})
        found = {user["userId"]: user for user in database["users"].find(query, {"userId": 1})}
        sessions = [new_session(found[name], role) for name in names]
        database[session_store.LOGIN_SESSIONS].insert_many(sessions)
    return [people.tokens.make(str(each["_id"]), 1) for each in sessions]


def give_phones(up: Session, users: int, numbers: Mapping[str, str]) -> None:
    """Let users sign in with these numbers, by name, which nobody else has any more."""
    with MongoClient[Document](up.uri, tz_aware=True) as client:
        credentials = client[data.database_name(users)][account_store.CREDENTIALS]
        credentials.update_many({"phone": {"$exists": True}}, {"$unset": {"phone": 1}})
        for name, number in numbers.items():
            phone = {"number": number, "provedAt": datetime.now(UTC)}
            credentials.update_one({"userId": name}, {"$set": {"phone": phone}})


def unused_names(users: int, seed: int) -> Iterator[str]:
    """Names of users, each once before any comes again; another seed begins elsewhere."""
    step = 7_919  # prime to all sizes
    return (f"{data.PREFIX}{(seed + number) * step % users}" for number in count())
