"""Categories in MongoDB: collection `categories`. Names are sealed; among siblings each is there once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from bson import ObjectId
from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from server.domains.money.categories.errors import CategoryExists
from server.domains.money.categories.model import StoredCategory
from server.storage.driver import ClientSession, Database, insert
from server.storage.mapping import Mapped

CATEGORIES = "categories"
# The token stands for type and name.
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    CATEGORIES: [IndexModel(["owner", "parentId", "nameToken"], unique=True)]
}


class CategoryStore:
    """Categories by owner, which is `User.id`. Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._categories = database.collection(CATEGORIES)
        self._mapped = Mapped(StoredCategory)

    async def of(
        self, owner: str, session: ClientSession | None = None, ids: Sequence[str] | None = None
    ) -> list[StoredCategory]:
        """All of an owner, or those of these ids, in no order."""
        query: dict[str, object] = {"owner": ObjectId(owner)}
        if ids is not None:
            query["_id"] = {"$in": [ObjectId(each) for each in ids]}
        found = await self._categories.find(query, session=session).to_list(None)
        return [self._mapped.read(document) for document in found]

    async def insert(self, categories: Sequence[StoredCategory], session: ClientSession) -> None:
        """Raises CategoryExists."""
        with _none_taken():
            documents = [self._mapped.write(each) for each in categories]
            await insert(self._categories, documents, session)

    async def replace(self, category: StoredCategory, session: ClientSession) -> None:
        """Raises CategoryExists."""
        document = self._mapped.write(category)
        with _none_taken():
            await self._categories.replace_one({"_id": document["_id"]}, document, session=session)

    async def remove(self, category: StoredCategory, session: ClientSession) -> None:
        await self._categories.delete_one({"_id": ObjectId(category.id)}, session=session)

    async def erase(self, owner: str) -> None:
        await self._categories.delete_many({"owner": ObjectId(owner)})


@contextmanager
def _none_taken() -> Iterator[None]:
    try:
        yield
    except DuplicateKeyError:
        raise CategoryExists.about("name") from None
