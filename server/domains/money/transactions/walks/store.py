"""Walks over many transactions of a user, inside of a transaction that changes them."""

from collections.abc import Sequence
from datetime import date

from bson import ObjectId
from pymongo import ASCENDING

from server.domains.money.transactions.documents import (
    TRANSACTIONS,
    Resolved,
    opened_transaction,
)
from server.domains.money.transactions.model import Transaction
from server.domains.money.transactions.store import (
    EVER,
    OF_ACCOUNT,
    OF_OWNER,
    OLDEST,
    after_place,
    midnight,
    one_of,
)
from server.security.sealed_box import SealedBox
from server.storage.driver import ClientSession, Database, Document


class TransactionWalks:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._transactions = database.collection(TRANSACTIONS)

    async def between(
        self,
        owner: str,
        since: date,
        until: date,
        box: SealedBox,
        resolved: Resolved,
        session: ClientSession,
        account_ids: Sequence[str] = (),
    ) -> list[Transaction]:
        """All of some days, both included, oldest first; of all accounts, or of some."""
        query: Document = {"owner": ObjectId(owner), "date": _range(since, until)}
        index = OF_OWNER
        if account_ids:
            query["accountId"], index = one_of(account_ids), OF_ACCOUNT
        found = self._transactions.find(query, session=session).sort(OLDEST).hint(index)
        return [opened_transaction(each, box, resolved) for each in await found.to_list(None)]

    async def some(
        self,
        owner: str,
        after: tuple[date, str] | None,
        limit: int,
        box: SealedBox,
        resolved: Resolved,
        session: ClientSession,
        account_id: str | None = None,
    ) -> list[Transaction]:
        """The next of all that are there, or of an account's, oldest first."""
        query: Document = {"owner": ObjectId(owner), "date": {"$gte": EVER}}
        if account_id is not None:
            query["accountId"] = ObjectId(account_id)
        if after is not None:
            query = after_place(query, after, oldest_first=True)
        index = OF_OWNER if account_id is None else OF_ACCOUNT
        found = self._transactions.find(query, session=session).sort(OLDEST).hint(index)
        documents = await found.limit(limit).to_list(None)
        return [opened_transaction(each, box, resolved) for each in documents]

    async def some_deleted(
        self,
        owner: str,
        after: str | None,
        limit: int,
        box: SealedBox,
        resolved: Resolved,
        session: ClientSession,
    ) -> list[Transaction]:
        """The next of those that were deleted and can be restored, by id."""
        query: Document = {
            "owner": ObjectId(owner),
            "date": None,  # so that an index has them
            "sealed": {"$exists": True},
            "deletedAt": {"$ne": None},
        }
        if after is not None:
            query["_id"] = {"$gt": ObjectId(after)}
        found = self._transactions.find(query, session=session).hint(OF_OWNER)
        documents = await found.sort("_id", ASCENDING).limit(limit).to_list(None)
        return [opened_transaction({**each, **each["was"]}, box, resolved) for each in documents]

    async def hollow(self, ids: Sequence[str], session: ClientSession) -> None:
        """Leave nothing of deleted ones but that they were deleted."""
        await self._transactions.update_many(
            {"_id": {"$in": [ObjectId(each) for each in ids]}, "deletedAt": {"$exists": True}},
            {"$unset": {"sealed": "", "was": ""}},
            session=session,
        )


def _range(since: date, until: date) -> Document:
    return {"$gte": midnight(since), "$lte": midnight(until)}
