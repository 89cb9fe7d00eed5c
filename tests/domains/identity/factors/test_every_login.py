"""Whatever the first factor is: an account with a second one gets a challenge and no session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast, get_args

import pytest
from bson import ObjectId
from finlink_words import AuthenticationMethod
from msgspec.structs import replace

from server.core.clock import Clock, utc_now
from server.core.users import User
from server.domains.identity.credentials.accounts import store as account_store
from server.domains.identity.credentials.accounts.model import Account, Totp
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.challenges import store as challenge_store
from server.domains.identity.credentials.challenges.store import CHALLENGES, ChallengeStore
from server.domains.identity.sessions import store as session_store
from server.domains.identity.sessions.model import Caller, NewSession
from server.domains.identity.sessions.store import LOGIN_SESSIONS
from server.domains.identity.signin.completion import Completion
from server.domains.identity.signin.model import Challenged, Proof
from server.storage import audit
from server.storage.audit import AuditTrail, Codes
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession, Database, connected
from server.storage.indexes import ensure_indexes
from tests.mongodb import MongoDb
from tests.storage.databases import settings

KEY = bytes(range(32))
METHODS = sorted(get_args(AuthenticationMethod))


@pytest.fixture(scope="module")
async def database(mongodb: MongoDb) -> AsyncIterator[Database]:
    async with connected(settings(mongodb.uri, "pymongo")) as opened:
        indexes = {
            **account_store.INDEXES,
            **challenge_store.INDEXES,
            **session_store.INDEXES,
            **audit.INDEXES,
        }
        await ensure_indexes(opened, indexes)
        try:
            yield opened
        finally:
            await opened.drop()


@pytest.mark.parametrize("method", METHODS)
async def test_a_second_factor_is_asked_for_whatever_the_first_was(
    database: Database, method: str
) -> None:
    """A provider's login among them, which proves nothing about the second factor."""
    now = utc_now()
    user = User(id=str(ObjectId()), user_id=f"ann_{method}", created_at=now, updated_at=now)
    account = Account(id=user.id, user_id=user.user_id, totp=Totp("sealed", now, now))
    accounts = AccountStore(database)
    await accounts.insert([account])
    # Neither users nor sessions are asked, since no session begins.
    nothing: Any = None
    completion = Completion(
        RecordedChanges(database, AuditTrail(database, Codes(KEY))),
        nothing,
        accounts,
        nothing,
        ChallengeStore(database, KEY),
        nothing,
        Clock(),
    )
    within = []

    async def work(locked: Account, _: ClientSession) -> None:
        within.append(locked.id)

    proof = Proof((method,), "token", Caller())
    result = await completion.complete(user, account, proof, work)
    assert isinstance(result, Challenged)
    assert result.methods == ("totp", "recovery_code")
    assert within == [user.id]
    assert await database.collection(LOGIN_SESSIONS).count_documents({}) == 0
    challenges = database.collection(CHALLENGES)
    assert await challenges.count_documents({"user": ObjectId(user.id)}) == 1


class Sessions:
    """Begins a session as a document alone, which a transaction that is aborted leaves no trace of."""

    def __init__(self, database: Database) -> None:
        self._sessions = database.collection(LOGIN_SESSIONS)

    async def begin(self, new: NewSession, session: ClientSession) -> None:
        await self._sessions.insert_one({"user": new.user}, session=session)


@pytest.mark.parametrize("method", METHODS)
async def test_a_second_factor_that_was_added_meanwhile_is_asked_for(
    database: Database, method: str
) -> None:
    """A login waits for the hash of its password, or for the provider; it began without a second factor."""
    now = utc_now()
    user = User(id=str(ObjectId()), user_id=f"bob_{method}", created_at=now, updated_at=now)
    before = Account(id=user.id, user_id=user.user_id)
    accounts = AccountStore(database)
    await accounts.insert([replace(before, totp=Totp("sealed", now, now))])
    nothing: Any = None
    completion = Completion(
        RecordedChanges(database, AuditTrail(database, Codes(KEY))),
        nothing,
        accounts,
        cast("Any", Sessions(database)),
        ChallengeStore(database, KEY),
        nothing,
        Clock(),
    )

    async def work(locked: Account, _: ClientSession) -> None:
        assert locked.active_totp is not None

    result = await completion.complete(user, before, Proof((method,), "token", Caller()), work)
    assert isinstance(result, Challenged)
    assert result.methods == ("totp", "recovery_code")
    assert await database.collection(LOGIN_SESSIONS).count_documents({}) == 0
