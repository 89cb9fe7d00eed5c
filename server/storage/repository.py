"""The documents of one collection as models of one type: what most stores are made of.

A store says what a domain asks, in the domain's words and errors; it has a repository for the part that is
the same for all. Names in queries and changes are those of documents, values are those of models. Driver
errors pass through.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from bson import ObjectId
from msgspec.structs import asdict
from pymongo import DESCENDING
from pymongo.collation import Collation
from pymongo.errors import DuplicateKeyError

from server.core.clock import utc_now
from server.core.errors import InvalidRequest
from server.core.model import Changes, Model
from server.core.pages import Page, PageRequest
from server.storage import paging
from server.storage.data_loader import DataLoader
from server.storage.driver import ClientSession, Database, Document, insert
from server.storage.mapping import Mapped
from server.storage.paging import Position
from server.storage.updates import change

M = TypeVar("M", bound=Model)
# Which document: the one under a key, or the one that has these values.
Match: TypeAlias = str | Mapping[str, Any]

NEWEST_FIRST = [("createdAt", DESCENDING), ("_id", DESCENDING)]
LOCK = "lockVersion"  # a field of documents that were locked; of no meaning to anybody else


@dataclass(frozen=True)
class Listing:
    """Which documents a list has, newest first by `createdAt`, ties by id."""

    query: Mapping[str, Any]
    filters: Mapping[str, Any]  # its page tokens are good for the same filters only
    index: str | None = None  # the name of one that has the list's whole order
    collation: Collation | None = None
    counted: bool = True  # for the first page of a walk, unless the total is known at any moment
    total: Callable[[], Awaitable[int]] | None = None


def new_id() -> str:
    """An `Id` that is given once."""
    return str(ObjectId())


class Repository(Generic[M]):
    def __init__(
        self,
        database: Database,
        collection: str,
        model: type[M],
        *,
        missing: type[Exception],
        taken: type[Exception] | None = None,
        key: str = "_id",
        allow_stale: bool = False,
    ) -> None:
        """`key` is the unique field that documents are found by. `allow_stale`: see `Database.collection`.

        `missing` is raised where there is no such document, `taken` in place of DuplicateKeyError.
        """
        self._collection = database.collection(collection, allow_stale=allow_stale)
        self._model = model
        self._mapped = Mapped(model)
        self._key = key
        self._missing = missing
        self._taken = taken
        self._has_update_time = "updated_at" in model.__struct_fields__
        self._loader = DataLoader(self.get_many)

    def new(self, given: Model) -> M:
        """The given fields of a model, with an id and the time of its creation; nothing is stored yet."""
        now = utc_now()
        return self._model(id=new_id(), created_at=now, updated_at=now, **asdict(given))

    async def get(self, key: str) -> M:
        """The model under a key. All who ask at this moment share a query, so it is for no transaction."""
        found = await self._loader.load(key)
        if found is None:
            raise self._missing
        return found

    async def get_many(self, keys: Sequence[str]) -> dict[str, M]:
        """Those that exist, by their keys."""
        query = self._mapped.values({self._key: {"$in": list(keys)}})
        documents = await self._collection.find(query).to_list(None)
        return {str(document[self._key]): self._mapped.read(document) for document in documents}

    async def find(self, match: Match, session: ClientSession | None = None) -> M | None:
        document = await self._collection.find_one(self._query(match), session=session)
        return self._mapped.read(document) if document else None

    async def user_of(self, key: str) -> str | None:
        """The `userId` that a document belongs to; None if there is none under this key."""
        found = await self.find(key)
        return None if found is None else str(found.user_id)  # type: ignore[attr-defined]

    async def exists(self, match: Match) -> bool:
        return bool(await self._collection.find_one(self._query(match), {"_id": 1}))

    async def insert(self, models: Sequence[M], session: ClientSession | None = None) -> None:
        """One; or many, in a transaction."""
        with self._none_taken():
            await insert(self._collection, [self._mapped.write(each) for each in models], session)

    async def update(
        self, match: Match, changes: Changes, session: ClientSession | None = None
    ) -> M:
        """Make all changes at once, and note the time; gives the model after that.

        Fields that the changes do not name stay, including those that the model does not know.
        """
        fields: Document = {"updatedAt": utc_now()} if self._has_update_time else {}
        for path, value in self._mapped.values(changes).items():
            fields[path] = "$$REMOVE" if value is None else {"$literal": value}
        fields |= self._following(changes)
        # A pipeline also gets under a section that another tool stored as null.
        query = self._query(match)
        with self._none_taken():
            return self._read(await change(self._collection, query, fields, session=session))

    def _following(self, changes: Changes) -> Document:
        """Fields that follow from changes: expressions over the document as it was before."""
        return {}

    async def lock(self, match: Match, session: ClientSession) -> M:
        """Read a document in a transaction, which keeps others from changing or removing it until it ends."""
        return self._read(
            await self._collection.find_one_and_update(
                self._query(match), {"$inc": {LOCK: 1}}, session=session
            )
        )

    async def remove(self, match: Match, session: ClientSession | None = None) -> Document:
        """Delete a document; gives it as it was stored."""
        return self._found(
            await self._collection.find_one_and_delete(self._query(match), session=session)
        )

    async def remove_all(self, match: Mapping[str, Any], session: ClientSession) -> None:
        await self._collection.delete_many(self._query(match), session=session)

    async def page(self, listing: Listing, wanted: PageRequest) -> Page[M]:
        """Raises InvalidRequest naming `pageToken`, which is of another list or comes with a number."""
        limit, position, number = wanted.limit, None, wanted.page or 1
        if wanted.page_token is not None:
            if wanted.page is not None:
                raise InvalidRequest.of("pageToken", "must not come together with page")
            position = paging.decode(wanted.page_token, listing.filters)
            number = min(position.page + 1, paging.MAX_PAGE)
        total = await self._total(listing, position)
        query, skip = self._mapped.values(listing.query), (number - 1) * limit
        if position is not None:
            find = partial(self._find, listing)
            documents = await paging.read(find, query, position, "createdAt", limit)
        else:
            documents = await self._find(listing, query, limit + 1, skip)
        if documents and total is not None:
            # No page is past the last one. Those before a token may have had another limit.
            total = max(total, len(documents) + (skip if position is None else 0))
        carried = total if listing.total is None else None
        following = paging.next_token(
            documents, limit, "createdAt", listing.filters, number, carried
        )
        items = [self._mapped.read(document) for document in documents[:limit]]
        return Page(items, number, limit, total, following)

    async def _total(self, listing: Listing, position: Position | None) -> int | None:
        if not listing.counted:
            return None
        if listing.total is None and position is not None and position.total is not None:
            return position.total
        return await self.total(listing)

    async def total(self, listing: Listing) -> int:
        """How many documents a list has, at this moment."""
        if listing.total is not None:
            return await listing.total()
        hint: dict[str, Any] = {"hint": listing.index} if listing.index else {}
        return await self._collection.count_documents(
            self._mapped.values(listing.query), collation=listing.collation, **hint
        )

    async def _find(
        self, listing: Listing, query: Document, count: int, skip: int = 0
    ) -> list[Document]:
        cursor = self._collection.find(query, collation=listing.collation).sort(NEWEST_FIRST)
        if listing.index is not None:
            cursor = cursor.hint(listing.index)
        return await cursor.skip(skip).limit(count).to_list(None)

    @contextmanager
    def _none_taken(self) -> Iterator[None]:
        try:
            yield
        except DuplicateKeyError:
            if self._taken is None:
                raise
            raise self._taken from None

    def _query(self, match: Match) -> Document:
        return self._mapped.values({self._key: match} if isinstance(match, str) else match)

    def _read(self, document: Document | None) -> M:
        return self._mapped.read(self._found(document))

    def _found(self, document: Document | None) -> Document:
        if document is None:
            raise self._missing
        return document
