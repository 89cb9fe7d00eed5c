"""A user with accounts and categories, and everything that transactions are made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from bson import ObjectId

from server.core.users import User
from server.domains.money.accounts.documents import sealed as sealed_account
from server.domains.money.accounts.model import Account
from server.domains.money.accounts.store import ACCOUNTS, AccountStore
from server.domains.money.categories.documents import sealed
from server.domains.money.categories.model import Category
from server.domains.money.categories.store import CATEGORIES, CategoryStore
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.ledger.changes import MoneyChanges
from server.domains.money.ledger.model import LedgerView, MoneyOwner
from server.domains.money.ledger.service import Book
from server.domains.money.ledger.store import LedgerStore
from server.domains.money.sealing.service import MoneyKeys
from server.domains.money.transactions.deletion import TransactionDeletion
from server.domains.money.transactions.documents import TRANSACTIONS, opened_transaction
from server.domains.money.transactions.lookups import Lookups
from server.domains.money.transactions.marks import TransferMarks
from server.domains.money.transactions.matching import TransferMatching
from server.domains.money.transactions.model import (
    Amount,
    NewTransaction,
    Transaction,
    TransactionChanges,
    Update,
    Wanted,
)
from server.domains.money.transactions.remembered import DeletionLog
from server.domains.money.transactions.service import TransactionService
from server.domains.money.transactions.shown import Shown
from server.domains.money.transactions.store import TransactionStore
from server.domains.money.transactions.views import ListPage, ListRequest, TransactionViews
from server.domains.money.transactions.work import WorkRunner
from server.security.ring import KeyRing
from server.storage.audit import AuditTrail, Codes
from server.storage.changes import RecordedChanges
from server.storage.data_keys import DataKeyStore
from server.storage.driver import ClientSession, Database

NOW = datetime(2026, 11, 29, 20, tzinfo=UTC)


@dataclass
class TurnedClock:
    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@dataclass
class People:
    async def lock_id(self, user: str, session: ClientSession) -> User | None:
        return User(id=user, user_id=f"user_{user}", created_at=NOW, updated_at=NOW)

    async def get(self, user_id: str) -> User:
        return User(id="0" * 24, user_id=user_id, created_at=NOW, updated_at=NOW)


class Worker:
    """The use cases as one process has them."""

    def __init__(self, database: Database, ring: KeyRing, clock: Any) -> None:
        people: Any = People()
        self.book = Book(LedgerStore(database), MoneyKeys(DataKeyStore(database, ring)), people)
        changes = RecordedChanges(database, AuditTrail(database, Codes(b"a" * 32)))
        self.store, self.log = TransactionStore(database), DeletionLog(database)
        self.money = MoneyChanges(changes, self.book)
        works = WorkRunner(self.money, self.store, self.log, clock)
        lookups = Lookups(AccountStore(database), CategoryStore(database))
        self.views = TransactionViews(self.book, self.store, self.log, lookups, clock)
        self.service = TransactionService(works, self.store, lookups, people, clock)
        self.deletion = TransactionDeletion(works, self.store, lookups, clock)
        self.matching = TransferMatching(works, TransferMarks(database), lookups, self.views, clock)


@dataclass
class World:
    database: Database
    ring: KeyRing
    clock: TurnedClock
    worker: Worker
    owner: MoneyOwner
    bank: str = ""
    card: str = ""
    euro: str = ""
    old: str = ""
    food: str = ""
    snacks: str = ""
    wage: str = ""

    async def add_account(
        self, currency: str = "INR", *, archived: bool = False, opening: int = 0
    ) -> str:
        account = Account(
            id=str(ObjectId()), rev=1, name=str(ObjectId()), type="bank", currency=currency,
            archived=archived, opening=opening,
        )  # fmt: skip

        async def work(change: LedgerChange) -> bool:
            stored = sealed_account(account, self.owner.id, change.box)
            await AccountStore(self.database).insert(stored, change.session)
            change.open_account(account.id, opening, None)
            return True

        await self.change(work)
        return account.id

    async def archive(self, account_id: str) -> None:
        accounts = self.database.collection(ACCOUNTS)
        await accounts.update_one({"_id": ObjectId(account_id)}, {"$set": {"archived": True}})

    async def remove_account(self, account_id: str) -> None:
        async def work(change: LedgerChange) -> bool:
            await AccountStore(self.database).remove(account_id, change.session)
            change.remove_account(account_id, is_empty=False)
            return True

        await self.change(work)

    async def add_category(self, type_: Any, parent_id: str | None = None) -> str:
        identifier = str(ObjectId())

        async def work(change: LedgerChange) -> bool:
            category = Category(
                id=identifier, rev=1, name=identifier, type=type_, parent_id=parent_id
            )
            stored = sealed(category, self.owner.id, change.box)
            await CategoryStore(self.database).insert([stored], change.session)
            return True

        await self.change(work)
        return identifier

    async def merge(self, category_id: str, into: str | None) -> None:
        await self.database.collection(CATEGORIES).delete_one({"_id": ObjectId(category_id)})

        async def work(change: LedgerChange) -> bool:
            change.merge_category(category_id, into)
            return True

        await self.change(work)

    async def change(self, work: Any) -> None:
        from server.core.events import Event  # noqa: PLC0415

        await self.worker.money.make(self.owner, work, lambda _: Event("test.changed"), None)

    def new(self, value: str = "100.00", kind: Any = "expense", **others: Any) -> NewTransaction:
        given = {"account_id": self.bank, "day": date(2026, 11, 3), **others}
        return NewTransaction(kind=kind, amount=Amount(value), **given)

    async def create(self, value: str = "100.00", kind: Any = "expense", **others: Any) -> Shown:
        return await self.worker.service.create(self.owner, self.new(value, kind, **others))

    async def update(
        self, identifier: str, *, unlock: bool = False, etag: str | None = None, **changes: Any
    ) -> Shown:
        sent = TransactionChanges(**changes)
        update = Update(id=identifier, changes=sent, unlock=unlock, etag=etag)
        return await self.worker.service.update(self.owner, update)

    async def delete(self, *ids: str, **options: Any) -> None:
        await self.worker.deletion.delete(self.owner, ids, **options)

    async def get(self, identifier: str) -> Shown:
        return await self.worker.views.get(self.owner, identifier)

    async def listed(self, **wanted: Any) -> list[Transaction]:
        page = await self.page(**wanted)
        return [each.transaction for each in page.items if isinstance(each, Shown)]

    async def page(
        self, limit: int = 50, token: str | None = None, sealed: Any = None, **wanted: Any
    ) -> ListPage:
        request = ListRequest(
            Wanted(**wanted),
            **({} if sealed is None else {"sealed": sealed}),
            filters=(str(wanted), str(sealed)),
            limit=limit,
            page_token=token,
        )
        return await self.worker.views.page(self.owner, request)

    async def changed_since(
        self, since: int, limit: int = 50, token: str | None = None
    ) -> ListPage:
        request = ListRequest(filters=(since,), limit=limit, page_token=token)
        return await self.worker.views.changed_since(self.owner, since, request)

    async def view(self) -> LedgerView:
        return await self.worker.book.view(self.owner.id, date(1, 1, 1), date(9999, 12, 31))

    async def balance(self, account_id: str) -> int:
        return (await self.view()).balances[account_id].balance

    async def rows(self) -> list[Transaction]:
        """All that are there, as a recount reads them."""
        view = await self.view()
        box = view.box
        assert box is not None
        return [
            opened_transaction(each, box, lambda category: view.aliases.get(category, category))
            async for each in self.worker.store.all(self.owner.id)
        ]

    async def recounted(self) -> list[str]:
        """What differs between the ledger and its transactions."""

        async def entries() -> Any:
            for each in await self.rows():
                yield each.entry

        async with self.database.at_one_moment() as moment:
            return await self.worker.book.recount(self.owner.id, entries(), moment)

    async def documents(self) -> list[dict[str, Any]]:
        query = {"owner": ObjectId(self.owner.id)}
        return await self.database.collection(TRANSACTIONS).find(query).sort("_id").to_list(None)


async def new_world(database: Database, ring: KeyRing) -> World:
    clock = TurnedClock()
    identifier = str(ObjectId())
    owner = MoneyOwner(identifier, f"user_{identifier}")
    world = World(database, ring, clock, Worker(database, ring, clock), owner)
    world.bank = await world.add_account(opening=100_000)
    world.card = await world.add_account()
    world.euro = await world.add_account("EUR")
    world.old = await world.add_account(archived=True)
    world.food = await world.add_category("expense")
    world.snacks = await world.add_category("expense", world.food)
    world.wage = await world.add_category("income")
    return world
