"""Budgets in MongoDB: collection `budgets`. Name and amounts are sealed."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import msgspec
from bson import ObjectId
from finlink_words import BudgetPeriod, BudgetRollover
from pymongo import DESCENDING, IndexModel

from server.core.model import Id, Model
from server.domains.money.budgets.model import Budget, Item
from server.security.sealed_box import SealedBox
from server.storage.driver import ClientSession, Database
from server.storage.mapping import Mapped

BUDGETS = "budgets"
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    BUDGETS: [IndexModel([("owner", 1), ("archived", 1), ("_id", DESCENDING)], name="owner_newest")]
}


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    name: str
    items: tuple[Item, ...]


class _Stored(Model, frozen=True, kw_only=True):
    id: Id
    owner: Id
    rev: int
    currency: str
    period: BudgetPeriod
    start_date: date
    end_date: date | None = None
    rollover: BudgetRollover
    account_ids: tuple[Id, ...] = ()
    archived: bool
    category_ids: tuple[Id, ...] = ()
    created_at: datetime
    updated_at: datetime
    sealed: bytes


class BudgetStore:
    """Budgets by owner, which is `User.id`. Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._budgets = database.collection(BUDGETS)
        self._mapped = Mapped(_Stored)

    async def of(
        self,
        owner: str,
        box: SealedBox,
        session: ClientSession | None = None,
        budget_id: str | None = None,
    ) -> list[Budget]:
        """All of an owner, or the one of this id, newest first."""
        query: dict[str, object] = {"owner": ObjectId(owner)}
        if budget_id is not None:
            query["_id"] = ObjectId(budget_id)
        cursor = self._budgets.find(query, session=session).sort("_id", DESCENDING)
        found = await cursor.to_list(None)
        return [_opened(self._mapped.read(document), box) for document in found]

    async def insert(self, budget: Budget, box: SealedBox, session: ClientSession) -> None:
        await self._budgets.insert_one(self._mapped.write(_stored(budget, box)), session=session)

    async def replace(self, budget: Budget, box: SealedBox, session: ClientSession) -> None:
        document = self._mapped.write(_stored(budget, box))
        await self._budgets.replace_one({"_id": document["_id"]}, document, session=session)

    async def remove(self, budget: Budget, session: ClientSession) -> None:
        await self._budgets.delete_one({"_id": ObjectId(budget.id)}, session=session)

    async def erase(self, owner: str) -> None:
        await self._budgets.delete_many({"owner": ObjectId(owner)})

    async def count_items(
        self, owner: str, category_ids: Sequence[str], session: ClientSession
    ) -> int:
        """How many budgets have an item of one of these categories."""
        wanted = {"$in": [ObjectId(each) for each in category_ids]}
        query = {"owner": ObjectId(owner), "categoryIds": wanted}
        return await self._budgets.count_documents(query, session=session)


def _place(budget_id: str) -> str:
    return f"{BUDGETS}/{budget_id}"


def _opened(stored: _Stored, box: SealedBox) -> Budget:
    content = box.open(stored.sealed, _Sealed, place=_place(stored.id))
    return Budget(
        id=stored.id,
        owner=stored.owner,
        rev=stored.rev,
        name=content.name,
        currency=stored.currency,
        period=stored.period,
        start_date=stored.start_date,
        end_date=stored.end_date,
        rollover=stored.rollover,
        account_ids=stored.account_ids,
        archived=stored.archived,
        items=content.items,
        created_at=stored.created_at,
        updated_at=stored.updated_at,
    )


def _stored(budget: Budget, box: SealedBox) -> _Stored:
    return _Stored(
        id=budget.id,
        owner=budget.owner,
        rev=budget.rev,
        currency=budget.currency,
        period=budget.period,
        start_date=budget.start_date,
        end_date=budget.end_date,
        rollover=budget.rollover,
        account_ids=budget.account_ids,
        archived=budget.archived,
        category_ids=tuple(each.category_id for each in budget.items),
        created_at=budget.created_at,
        updated_at=budget.updated_at,
        sealed=box.seal(_Sealed(budget.name, budget.items), place=_place(budget.id)),
    )
