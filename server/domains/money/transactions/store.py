"""Transactions in MongoDB: collection `transactions`.

A document has in plain what lists walk by: owner, account, day, kind, direction, status, categories, tokens
of tags; `sealed` has the rest. One that was deleted has that under `was`, so that no list comes across it,
until a TTL index removes it; a list of changes finds it by `rev`.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING, IndexModel, ReplaceOne

from server.domains.money.transactions.documents import (
    TRANSACTIONS,
    Resolved,
    buried,
    document_of,
    external_token,
    opened_transaction,
    tag_token,
)
from server.domains.money.transactions.marks import MARKS
from server.domains.money.transactions.model import RECONCILED, Deleted, Transaction, Wanted
from server.security.sealed_box import SealedBox
from server.storage.driver import ClientSession, Database, Document, insert

REMEMBERED = timedelta(days=30)  # for which a deleted one can be restored
_NEWEST = [("date", DESCENDING), ("_id", DESCENDING)]
OLDEST = [("date", ASCENDING), ("_id", ASCENDING)]
OF_OWNER, OF_ACCOUNT, OF_CATEGORY, OF_TAG, BY_REV = (
    "owner_newest", "account_newest", "category_newest", "tag_newest", "owner_rev",
)  # fmt: skip
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    TRANSACTIONS: [
        IndexModel([("owner", ASCENDING), *OLDEST], name=OF_OWNER),
        IndexModel([("accountId", ASCENDING), *OLDEST], name=OF_ACCOUNT),
        IndexModel([("owner", ASCENDING), ("categoryIds", ASCENDING), *OLDEST], name=OF_CATEGORY),
        IndexModel(
            [("owner", ASCENDING), ("tagTokens", ASCENDING), *OLDEST],
            name=OF_TAG,
            partialFilterExpression={"tagTokens": {"$exists": True}},
        ),
        IndexModel([("owner", ASCENDING), ("rev", ASCENDING), ("_id", ASCENDING)], name=BY_REV),
        IndexModel(
            [("accountId", ASCENDING), ("externalToken", ASCENDING)],
            unique=True,
            partialFilterExpression={"externalToken": {"$exists": True}},
        ),
        IndexModel("deletedAt", expireAfterSeconds=int(REMEMBERED.total_seconds())),
    ],
    MARKS: [IndexModel([("owner", ASCENDING), ("state", ASCENDING), ("at", ASCENDING)])],
}
EVER = datetime(1, 1, 1, tzinfo=UTC)


class TransactionStore:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._transactions = database.collection(TRANSACTIONS)

    async def insert(
        self, transactions: Sequence[Transaction], box: SealedBox, session: ClientSession
    ) -> None:
        documents = [document_of(each, box) for each in transactions]
        await insert(self._transactions, documents, session)

    async def replace(
        self, transactions: Sequence[Transaction], box: SealedBox, session: ClientSession
    ) -> None:
        """Write changed ones, or those that are brought back."""
        await self._write((document_of(each, box) for each in transactions), session)

    async def bury(
        self,
        transactions: Sequence[Transaction],
        at: datetime,
        box: SealedBox,
        session: ClientSession,
    ) -> None:
        """Delete some, and remember them for a time."""
        await self._write((buried(document_of(each, box), at) for each in transactions), session)

    async def _write(self, documents: Iterable[Document], session: ClientSession) -> None:
        writes = [
            ReplaceOne({"_id": each["_id"], "owner": each["owner"]}, each) for each in documents
        ]
        if writes:
            await self._transactions.bulk_write(writes, ordered=False, session=session)

    async def get_many(
        self,
        owner: str,
        ids: Iterable[str],
        box: SealedBox,
        resolved: Resolved,
        session: ClientSession | None = None,
    ) -> dict[str, Transaction]:
        """Those that are there and not deleted, by id."""
        found = await self._by_ids(owner, ids, session, deletedAt=None)
        opened = (opened_transaction(each, box, resolved) for each in found)
        return {each.id: each for each in opened}

    async def deleted(
        self,
        owner: str,
        ids: Iterable[str],
        box: SealedBox,
        resolved: Resolved,
        session: ClientSession | None = None,
    ) -> dict[str, Deleted]:
        """Those that were deleted and are remembered, by id."""
        found = await self._by_ids(
            owner, ids, session, deletedAt={"$ne": None}, sealed={"$exists": True}
        )
        opened = [
            Deleted(opened_transaction({**each, **each["was"]}, box, resolved), each["deletedAt"])
            for each in found
        ]
        return {each.transaction.id: each for each in opened}

    async def _by_ids(
        self, owner: str, ids: Iterable[str], session: ClientSession | None, **query: Any
    ) -> list[Document]:
        wanted = [ObjectId(each) for each in ids]
        if not wanted:
            return []
        query |= {"_id": {"$in": wanted}, "owner": ObjectId(owner)}
        return await self._transactions.find(query, session=session).to_list(None)

    async def by_external_ids(
        self,
        owner: str,
        wanted: Iterable[tuple[str, str]],
        box: SealedBox,
        session: ClientSession | None = None,
    ) -> dict[tuple[str, str], str]:
        """The ids of transactions by account and external id, of those that are there."""
        tokens = {
            (ObjectId(account_id), external_token(box, account_id, external_id)): (
                account_id,
                external_id,
            )
            for account_id, external_id in wanted
        }
        if not tokens:
            return {}
        either = [{"accountId": account, "externalToken": token} for account, token in tokens]
        query = {"owner": ObjectId(owner), "$or": either}
        fields = {"accountId": 1, "externalToken": 1}
        found = await self._transactions.find(query, fields, session=session).to_list(None)
        return {
            tokens[each["accountId"], bytes(each["externalToken"])]: str(each["_id"])
            for each in found
        }

    async def walk(
        self,
        owner: str,
        wanted: Wanted,
        box: SealedBox,
        after: tuple[date, str] | None,
        limit: int,
        session: ClientSession | None = None,
    ) -> list[Document]:
        """At most so many documents of a list, in its order, after a day and an id."""
        query, index = _query(owner, wanted, box)
        order = OLDEST if wanted.oldest_first else _NEWEST
        if after is not None:
            query = after_place(query, after, oldest_first=wanted.oldest_first)
        found = self._transactions.find(query, session=session).sort(order)
        return await found.hint(index).limit(limit).to_list(None)

    async def changed(
        self, owner: str, since: int, after: tuple[int, str] | None, limit: int
    ) -> list[Document]:
        """Those that changed or were deleted after a revision, in the order of their changes."""
        query: Document = {"owner": ObjectId(owner), "rev": {"$gt": since}}
        if after is not None:
            rev, last = after
            query["$or"] = [{"rev": {"$gt": rev}}, {"rev": rev, "_id": {"$gt": ObjectId(last)}}]
            query["rev"] = {"$gte": rev}
        order = [("rev", ASCENDING), ("_id", ASCENDING)]
        return (
            await self._transactions.find(query).sort(order).hint(BY_REV).limit(limit).to_list(None)
        )

    async def of_days(
        self, owner: str, account_id: str, days: Iterable[date], session: ClientSession
    ) -> list[Document]:
        """All of an account on some days."""
        query = {
            "owner": ObjectId(owner),
            "accountId": ObjectId(account_id),
            "date": {"$in": [midnight(day) for day in days]},
        }
        found = self._transactions.find(query, session=session).sort(OLDEST)
        return await found.hint(OF_ACCOUNT).to_list(None)

    async def all(
        self, owner: str, session: ClientSession | None = None
    ) -> AsyncIterator[Document]:
        """All that a user has, oldest first, but for those that were deleted."""
        query = {"owner": ObjectId(owner), "date": {"$gte": EVER}}
        async for document in (
            self._transactions.find(query, session=session).sort(OLDEST).hint(OF_OWNER)
        ):
            yield document

    async def reconcile(
        self, owner: str, account_id: str, until: date, rev: int, session: ClientSession
    ) -> int:
        """Mark all of an account that are posted up to a day as reconciled; gives how many there were."""
        query = {
            "accountId": ObjectId(account_id),
            "owner": ObjectId(owner),
            "date": {"$gte": EVER, "$lte": midnight(until)},
            "status": "posted",
        }
        change = {"$set": {"status": RECONCILED, "rev": rev}}
        result = await self._transactions.update_many(query, change, session=session)
        return result.modified_count

    async def erase(self, owner: str, account_id: str | None = None) -> None:
        """Remove all of a user, or of an account, those that were deleted before it, too."""
        if account_id is None:
            await self._transactions.delete_many({"owner": ObjectId(owner)})
            return
        account = ObjectId(account_id)
        await self._transactions.delete_many({"accountId": account, "owner": ObjectId(owner)})
        deleted = {"owner": ObjectId(owner), "was.accountId": account}
        await self._transactions.delete_many(deleted)

    async def newest(self, owner: str, since: date, limit: int) -> list[Document]:
        """Those from a day on that may be a leg of a transfer by what is plain, newest first."""
        query = {
            "owner": ObjectId(owner),
            "date": {"$gte": midnight(since)},
            "kind": {"$in": ["expense", "income", "transfer"]},
            "status": {"$ne": "pending"},
        }
        return (
            await self._transactions.find(query)
            .sort(_NEWEST)
            .hint(OF_OWNER)
            .limit(limit)
            .to_list(None)
        )


def _query(owner: str, wanted: Wanted, box: SealedBox) -> tuple[Document, str]:
    """The query, and the index whose order is the list's."""
    days: Document = {"$gte": midnight(wanted.since) if wanted.since else EVER}
    if wanted.until:
        days["$lte"] = midnight(wanted.until)
    query: Document = {"owner": ObjectId(owner), "date": days}
    index = OF_OWNER
    if wanted.tag is not None:
        query["tagTokens"] = tag_token(box, wanted.tag)
        index = OF_TAG
    if wanted.category_ids:
        query["categoryIds"] = one_of(wanted.category_ids)
        index = OF_CATEGORY if wanted.tag is None else index
    if wanted.account_ids:
        query["accountId"] = one_of(wanted.account_ids)
        index = OF_ACCOUNT if index == OF_OWNER else index
    if wanted.kinds:
        query["kind"] = {"$in": list(wanted.kinds)}
    if wanted.statuses:
        query["status"] = {"$in": list(wanted.statuses)}
    return query, index


def one_of(ids: Sequence[str | None]) -> Any:
    found = [None if each is None else ObjectId(each) for each in ids]
    return found[0] if len(found) == 1 else {"$in": found}


def after_place(query: Document, after: tuple[date, str], *, oldest_first: bool) -> Document:
    """The part of a list that follows a day and an id."""
    day, last = midnight(after[0]), ObjectId(after[1])
    beyond, end = ("$gt", "$gte") if oldest_first else ("$lt", "$lte")
    bounds = {**query["date"], end: day}
    if query["date"].get(end) is not None:
        bounds[end] = max(day, query["date"][end]) if oldest_first else min(day, query["date"][end])
    # The range keeps the walk where it is; the days at its beginning are left out one by one.
    either = [{"date": {beyond: day}}, {"_id": {beyond: last}}]
    return {**query, "date": bounds, "$or": either}


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
