"""Accounts in MongoDB: collection `accounts`. Names are sealed; each is there once a user."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from bson import ObjectId
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from server.core.clock import utc_now
from server.domains.money.accounts.errors import AccountExists
from server.domains.money.accounts.model import StoredAccount
from server.storage.driver import ClientSession, Database
from server.storage.mapping import Mapped

ACCOUNTS = "accounts"
_THERE = {"deletingAt": {"$exists": False}}
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    ACCOUNTS: [
        IndexModel(
            ["owner", "nameToken"],
            unique=True,
            partialFilterExpression={"nameToken": {"$exists": True}},
        ),
        IndexModel("owner"),
        IndexModel(
            "deletingAt",
            name="being_erased",
            partialFilterExpression={"deletingAt": {"$exists": True}},
        ),
    ]
}


class AccountStore:
    """Accounts by owner, which is `User.id`. Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._accounts = database.collection(ACCOUNTS)
        self._mapped = Mapped(StoredAccount)

    async def of(
        self, owner: str, session: ClientSession | None = None, ids: Sequence[str] | None = None
    ) -> list[StoredAccount]:
        """All of an owner, or those of these ids, in no order; none that is being erased."""
        query: dict[str, object] = {"owner": ObjectId(owner), **_THERE}
        if ids is not None:
            query["_id"] = {"$in": [ObjectId(each) for each in ids]}
        found = await self._accounts.find(query, session=session).to_list(None)
        return [self._mapped.read(document) for document in found]

    async def insert(self, account: StoredAccount, session: ClientSession) -> None:
        """Raises AccountExists."""
        with _none_taken():
            await self._accounts.insert_one(self._mapped.write(account), session=session)

    async def replace(self, account: StoredAccount, session: ClientSession) -> None:
        """Raises AccountExists."""
        document = self._mapped.write(account)
        with _none_taken():
            await self._accounts.replace_one({"_id": document["_id"]}, document, session=session)

    async def remove(self, account_id: str, session: ClientSession | None = None) -> None:
        await self._accounts.delete_one({"_id": ObjectId(account_id)}, session=session)

    async def being_erased(self) -> StoredAccount | None:
        """The next of those of which something is still stored, those first that nobody has tried yet."""
        found = await self._accounts.find_one_and_update(
            {"deletingAt": {"$exists": True}},
            {"$set": {"triedAt": utc_now()}},
            sort=[("triedAt", ASCENDING), ("deletingAt", ASCENDING)],
        )
        return self._mapped.read(found) if found else None

    async def erase(self, owner: str) -> None:
        await self._accounts.delete_many({"owner": ObjectId(owner)})


@contextmanager
def _none_taken() -> Iterator[None]:
    try:
        yield
    except DuplicateKeyError:
        raise AccountExists.about("name") from None
