"""Codes of accounts in MongoDB are used once, and steps only go forward."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.core.clock import utc_now
from server.domains.identity.credentials.accounts import store
from server.domains.identity.credentials.accounts.model import Account, Totp
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.factors import recovery_codes
from server.storage.driver import ClientSession, Database, connected
from server.storage.indexes import ensure_indexes
from server.storage.repository import new_id
from tests.mongodb import MongoDb
from tests.storage.databases import DRIVERS, settings


@pytest.fixture(scope="module", params=DRIVERS)
async def database(mongodb: MongoDb, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    async with connected(settings(mongodb.uri, request.param)) as opened:
        await ensure_indexes(opened, store.INDEXES)
        try:
            yield opened
        finally:
            await opened.drop()


@pytest.fixture
def accounts(database: Database) -> AccountStore:
    return AccountStore(database)


async def made(accounts: AccountStore, totp: Totp, codes: list[str] | None = None) -> str:
    user = new_id()
    stored = recovery_codes.stored(codes or [])
    await accounts.insert([Account(id=user, user_id=user, totp=totp, recovery_codes=stored)])
    return user


async def test_a_step_is_used_once_and_none_before_it(
    database: Database, accounts: AccountStore
) -> None:
    user = await made(accounts, Totp("sealed", confirmed_at=utc_now(), last_step=10))

    async def use(step: int, sealed: str = "sealed") -> bool:
        async def work(session: ClientSession) -> bool:
            return await accounts.use_step(user, sealed, step, session)

        return await database.transact(work)

    assert not await use(12, sealed="of an app from before")
    assert sorted(await asyncio.gather(use(12), use(12))) == [False, True]
    assert [await use(step) for step in (11, 12, 13, 13)] == [False, False, True, False]
    account = await accounts.of(user)
    assert account is not None
    assert account.totp is not None
    assert account.totp.last_step == 13


async def test_no_code_is_used_of_an_app_that_is_not_confirmed(
    database: Database, accounts: AccountStore
) -> None:
    user = await made(accounts, Totp("sealed", started_at=utc_now()))

    async def work(session: ClientSession) -> bool:
        return await accounts.use_step(user, "sealed", 12, session)

    assert not await database.transact(work)


async def test_a_recovery_code_is_used_once(database: Database, accounts: AccountStore) -> None:
    codes = list(recovery_codes.new_codes())
    user = await made(accounts, Totp("sealed", confirmed_at=utc_now()), codes)

    async def use(code: str) -> bool:
        async def work(session: ClientSession) -> bool:
            return await accounts.use_recovery_code(user, recovery_codes.digest_of(code), session)

        return await database.transact(work)

    assert sorted(await asyncio.gather(use(codes[3]), use(codes[3]))) == [False, True]
    assert [await use(code) for code in (codes[3], "A" * 24, codes[4])] == [False, False, True]
    account = await accounts.of(user)
    assert account is not None
    assert [each.used_at is not None for each in account.recovery_codes] == [
        number in {3, 4} for number in range(10)
    ]
