"""The collections of posting in MongoDB.

- `transaction_origins`: a document a row of a bank that became a transaction, `_id` a token of it. It
  outlives the transaction; `earlier` has the transactions that the row was before the one that it is now.
- `account_streams`: a document a stream, `_id` a token of connector and name.
- `payees`: the category that a user last gave to a payee, `_id` a token of kind and payee.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from bson import Binary, ObjectId
from pymongo import ASCENDING, IndexModel, UpdateOne

from server.domains.money.posting.model import (
    SOURCE,
    Origin,
    Stream,
    StreamState,
    TakenBack,
)
from server.security.sealed_box import SealedBox
from server.storage.driver import ClientSession, Database, Document, insert

ORIGINS, STREAMS, PAYEES = "transaction_origins", "account_streams", "payees"
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    ORIGINS: [
        IndexModel([("owner", ASCENDING), ("transactionId", ASCENDING)]),
        IndexModel(
            [("owner", ASCENDING), ("earlier", ASCENDING)],
            partialFilterExpression={"earlier": {"$exists": True}},
        ),
    ],
    STREAMS: [
        IndexModel([("owner", ASCENDING), ("connectorId", ASCENDING)]),
        IndexModel(
            "accountId", unique=True, partialFilterExpression={"accountId": {"$exists": True}}
        ),
    ],
    PAYEES: [IndexModel("owner")],
}
_MOST_EARLIER = 20


class OriginStore:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._origins = database.collection(ORIGINS)
        self._transactions = database.collection("transactions")

    async def find(self, ids: Sequence[bytes], session: ClientSession) -> dict[bytes, Origin]:
        query = {"_id": {"$in": [Binary(each) for each in ids]}}
        found = await self._origins.find(query, session=session).to_list(None)
        origins = (
            Origin(
                id=bytes(each["_id"]),
                transaction_id=str(each["transactionId"]),
                withdrawn=each.get("withdrawn", False),
                forgotten=each.get("forgotten", False),
            )
            for each in found
        )
        return {each.id: each for each in origins}

    async def add(
        self,
        owner: str,
        connector_id: str,
        made: Mapping[bytes, str],
        at: datetime,
        session: ClientSession,
    ) -> None:
        """By token, the transactions that rows became. Raises DuplicateKeyError."""
        documents: list[Document] = [
            {
                "_id": Binary(token),
                "owner": ObjectId(owner),
                "transactionId": ObjectId(transaction_id),
                "source": SOURCE,
                "sourceId": ObjectId(connector_id),
                "at": at,
            }
            for token, transaction_id in made.items()
        ]
        if documents:
            await insert(self._origins, documents, session)

    async def withdraw(self, ids: Sequence[bytes], session: ClientSession) -> None:
        if not ids:
            return
        query = {"_id": {"$in": [Binary(each) for each in ids]}}
        await self._origins.update_many(query, {"$set": {"withdrawn": True}}, session=session)

    async def point(self, moved: Mapping[bytes, tuple[str, str]], session: ClientSession) -> None:
        """By token, the transactions that rows were, and those that they are now."""
        writes = [
            UpdateOne(
                {"_id": Binary(token)},
                {
                    "$set": {"transactionId": ObjectId(after)},
                    "$unset": {"withdrawn": "", "forgotten": ""},
                    **({} if before == after else _with_earlier(before)),
                },
            )
            for token, (before, after) in moved.items()
        ]
        if writes:
            await self._origins.bulk_write(writes, ordered=False, session=session)

    async def replace(self, owner: str, before: str, after: str, session: ClientSession) -> None:
        """Rows that were one transaction are another one."""
        query = {"owner": ObjectId(owner), "transactionId": ObjectId(before)}
        change = {"$set": {"transactionId": ObjectId(after)}, **_with_earlier(before)}
        await self._origins.update_many(query, change, session=session)

    async def forget(
        self, owner: str, transaction_ids: Sequence[str], session: ClientSession
    ) -> list[str]:
        """Let the rows of these, which were deleted, come back; gives their connectors."""
        query = _of_transactions(owner, transaction_ids)
        found = await self._origins.find(query, {"sourceId": 1}, session=session).to_list(None)
        await self._origins.update_many(query, {"$set": {"forgotten": True}}, session=session)
        return sorted({str(each["sourceId"]) for each in found})

    async def successors(
        self, owner: str, transaction_ids: Sequence[str], session: ClientSession
    ) -> list[str]:
        """The transactions that rows of these are by now; they may have been deleted, too."""
        found = self._origins.find(_of_earlier(owner, transaction_ids), session=session)
        return [str(each["transactionId"]) for each in await found.to_list(None)]

    async def take_back(
        self, owner: str, transaction_ids: Sequence[str], session: ClientSession
    ) -> list[TakenBack]:
        """Rows that have come back, or may come back, are these transactions again."""
        ids = {ObjectId(each) for each in transaction_ids}
        forgotten = {**_of_transactions(owner, transaction_ids), "forgotten": True}
        either = [forgotten, _of_earlier(owner, transaction_ids)]
        taken = []
        for document in await self._origins.find({"$or": either}, session=session).to_list(None):
            before = document["transactionId"]
            after = before
            if before not in ids:
                after = next(each for each in document["earlier"] if each in ids)
            change: Document = {"$set": {"transactionId": after}, "$unset": {"forgotten": ""}}
            if before != after:
                change |= _with_earlier(str(before))
            await self._origins.update_one({"_id": document["_id"]}, change, session=session)
            taken.append(
                TakenBack(
                    str(after), str(document["sourceId"]), is_there="withdrawn" not in document
                )
            )
        return taken

    async def remove(
        self, owner: str, transaction_ids: Sequence[str], session: ClientSession
    ) -> None:
        """Nothing is remembered of the rows of these."""
        await self._origins.delete_many(_of_transactions(owner, transaction_ids), session=session)

    async def erase(self, owner: str) -> None:
        await self._origins.delete_many({"owner": ObjectId(owner)})

    async def erase_of_account(self, owner: str, account_id: str) -> list[str]:
        """Those of the transactions of an account, which are about to be erased; gives their connectors."""
        query = {"owner": ObjectId(owner), "accountId": ObjectId(account_id)}
        found = await self._transactions.find(query, {"_id": 1}).to_list(None)
        ids = [each["_id"] for each in found]
        of_account = {"owner": ObjectId(owner), "transactionId": {"$in": ids}}
        origins = await self._origins.find(of_account, {"sourceId": 1}).to_list(None)
        await self._origins.delete_many(of_account)
        return sorted({str(each["sourceId"]) for each in origins})


class StreamStore:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._streams = database.collection(STREAMS)

    async def of_connector(
        self, owner: str, connector_id: str, box: SealedBox, session: ClientSession
    ) -> dict[str, Stream]:
        """By name."""
        query = {"owner": ObjectId(owner), "connectorId": ObjectId(connector_id)}
        found = await self._streams.find(query, session=session).to_list(None)
        streams = [_opened(each, box) for each in found]
        return {each.state.name: each for each in streams}

    async def of_account(
        self, account_id: str, box: SealedBox, session: ClientSession | None = None
    ) -> Stream | None:
        query = {"accountId": ObjectId(account_id)}
        found = await self._streams.find_one(query, session=session)
        return None if found is None else _opened(found, box)

    async def save(
        self, owner: str, stream: Stream, box: SealedBox, session: ClientSession
    ) -> None:
        document: Document = {
            "_id": Binary(stream.id),
            "owner": ObjectId(owner),
            "connectorId": ObjectId(stream.connector_id),
            "sealed": box.seal(stream.state, place=_place(stream.id)),
        }
        if stream.account_id is not None:
            document["accountId"] = ObjectId(stream.account_id)
        if stream.moves_from is not None:
            document["movesFrom"] = ObjectId(stream.moves_from)
        await self._streams.replace_one(
            {"_id": document["_id"]}, document, upsert=True, session=session
        )

    async def erase(self, owner: str, account_id: str | None = None) -> None:
        """All of a user; or stop that of an account, until another account takes it over."""
        if account_id is None:
            await self._streams.delete_many({"owner": ObjectId(owner)})
            return
        query = {"owner": ObjectId(owner), "accountId": ObjectId(account_id)}
        await self._streams.update_many(query, {"$unset": {"accountId": ""}})


class PayeeStore:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._payees = database.collection(PAYEES)

    async def find(self, ids: Iterable[bytes], session: ClientSession) -> dict[bytes, str]:
        """Category by token."""
        wanted = [Binary(each) for each in ids]
        if not wanted:
            return {}
        found = await self._payees.find({"_id": {"$in": wanted}}, session=session).to_list(None)
        return {bytes(each["_id"]): str(each["categoryId"]) for each in found}

    async def remember(
        self, owner: str, categories: Mapping[bytes, str], session: ClientSession
    ) -> None:
        writes = [
            UpdateOne(
                {"_id": Binary(token)},
                {"$set": {"owner": ObjectId(owner), "categoryId": ObjectId(each)}},
                upsert=True,
            )
            for token, each in categories.items()
        ]
        if writes:
            await self._payees.bulk_write(writes, ordered=False, session=session)

    async def erase(self, owner: str) -> None:
        await self._payees.delete_many({"owner": ObjectId(owner)})


def _of_transactions(owner: str, ids: Sequence[str]) -> Document:
    return {"owner": ObjectId(owner), "transactionId": {"$in": [ObjectId(each) for each in ids]}}


def _of_earlier(owner: str, ids: Sequence[str]) -> Document:
    return {"owner": ObjectId(owner), "earlier": {"$in": [ObjectId(each) for each in ids]}}


def _with_earlier(transaction_id: str) -> Document:
    added = {"$each": [ObjectId(transaction_id)], "$slice": -_MOST_EARLIER}
    return {"$push": {"earlier": added}}


def stream_token(box: SealedBox, connector_id: str, name: str) -> bytes:
    return box.token("stream", connector_id, name)


def _opened(document: Document, box: SealedBox) -> Stream:
    token = bytes(document["_id"])
    account, before = document.get("accountId"), document.get("movesFrom")
    return Stream(
        id=token,
        connector_id=str(document["connectorId"]),
        account_id=None if account is None else str(account),
        moves_from=None if before is None else str(before),
        state=box.open(document["sealed"], StreamState, place=_place(token)),
    )


def _place(token: bytes) -> str:
    return f"{STREAMS}/{token.hex()}"
