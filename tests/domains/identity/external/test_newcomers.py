"""Users who are made by a login at a provider, on a real MongoDB."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest

from server.core.clock import Clock
from server.core.errors import PermissionDenied
from server.core.users import NewUser, UserExists
from server.delivery.outbox import Outbox
from server.domains.identity.credentials.accounts import store as account_store
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.notices import Notices
from server.domains.identity.external.links import ExternalLinks, key_of
from server.domains.identity.external.model import Claims
from server.domains.identity.providers import Provider
from server.domains.identity.recovery.mails import Mails
from server.domains.identity.recovery.verification import EmailVerification
from server.domains.identity.sessions.service import SessionService
from server.domains.users import store as user_store
from server.domains.users.service import UserDirectory
from server.domains.users.store import UserStore
from server.storage import audit
from server.storage.audit import AuditTrail, Codes
from server.storage.changes import RecordedChanges
from server.storage.driver import Database, connected
from server.storage.indexes import ensure_indexes
from tests.mongodb import MongoDb
from tests.storage.databases import settings

PROVIDER = Provider("a", "A", "https://a.example", "id", "secret", "openid", ())
ADDRESS = "ann@example.com"


@pytest.fixture
async def database(mongodb: MongoDb) -> AsyncIterator[Database]:
    async with connected(settings(mongodb.uri, "pymongo", mongo_timeout_ms=20_000)) as opened:
        indexes = {**account_store.INDEXES, **audit.INDEXES, **user_store.indexes(30)}
        await ensure_indexes(opened, indexes)
        try:
            yield opened
        finally:
            await opened.drop()


async def test_closed_registration_makes_nobody(database: Database) -> None:
    users = UserStore(database)
    changes = RecordedChanges(database, AuditTrail(database, Codes(bytes(32))))
    # Nothing is sent before somebody is made.
    outbox, verification = cast("Outbox", None), cast("EmailVerification", None)
    sessions = cast("SessionService", None)
    notices = Notices(outbox, Clock())
    links = ExternalLinks(
        changes, UserDirectory(users), AccountStore(database), sessions, verification, outbox, notices,
        Mails("https://finlink.example"), is_open=False, providers=frozenset({"a"}),
    )  # fmt: skip
    key = key_of(PROVIDER, "1")
    with pytest.raises(PermissionDenied, match="closed"):
        await links.create(PROVIDER, key, Claims("1", ADDRESS, email_verified=True))
    await users.create(NewUser("ann", ADDRESS))
    with pytest.raises(UserExists):
        await links.create(PROVIDER, key, Claims("1", ADDRESS, email_verified=True))
    assert await links.account_of(key) is None
    assert await database.collection("users").count_documents({}) == 1
