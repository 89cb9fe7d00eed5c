"""Connectors that sync, and all of money, over one MongoDB, as workers have them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from bson import ObjectId

from server.core.clock import CLOCK
from server.domains.connectors.model import Connector
from server.domains.connectors.sync.posting.store import LEASE, PostingStore
from server.domains.money.accounts.model import Account, Given, NewAccount
from server.domains.money.accounts.service import AccountService, DayBalance
from server.domains.money.accounts.store import AccountStore
from server.domains.money.categories.service import CategoryService
from server.domains.money.categories.store import CategoryStore
from server.domains.money.categories.usual import UsualCategories
from server.domains.money.ledger.changes import MoneyChanges
from server.domains.money.ledger.erasure import MoneyDependents, UserErasure
from server.domains.money.ledger.keyless import OWNED
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.ledger.service import Book
from server.domains.money.ledger.store import LEDGERS, ROLLUPS, ErasureStore, LedgerStore
from server.domains.money.posting.building import built_posting
from server.domains.money.posting.memory import PayeeMemory
from server.domains.money.posting.remembering import Remembering
from server.domains.money.posting.store import ORIGINS, OriginStore, PayeeStore
from server.domains.money.sealing.service import MoneyKeys
from server.domains.money.transactions.building import built_transactions
from server.domains.money.transactions.documents import opened_transaction
from server.domains.money.transactions.lookups import Lookups
from server.domains.money.transactions.model import (
    Amount,
    NewTransaction,
    Transaction,
    TransactionChanges,
    Update,
)
from server.domains.money.transactions.store import TransactionStore
from server.domains.users.service import UserDirectory, UserService
from server.platforms.records import Holding, Item, Money
from server.platforms.records import Transaction as Row
from server.storage.audit import AUDIT_EVENTS
from server.storage.driver import Database, Document
from tests.domains.connectors.sync_world import INR, World

BANK = "Nila Bank"
DAY = date(2026, 11, 3)
EVER = datetime(2000, 1, 1, tzinfo=UTC)


def row(
    key: str,
    amount: str = "450.00",
    direction: Any = "debit",
    day: date = DAY,
    text: str = "",
    balance: str | None = None,
    bank: str = BANK,
    currency: str = INR,
) -> Item:
    after = None if balance is None else Money(Decimal(balance), currency)
    money = Money(Decimal(amount), currency)
    return Item(key, Row(day, direction, money, text or key, "UPI", bank, after))


def holding(key: str, kind: Any, value: str, house: str | None = BANK, **others: Any) -> Item:
    money = Money(Decimal(value), INR)
    return Item(key, Holding(kind, key, institution=house, value=money, **others))


class Worker:
    """One process's part of posting."""

    def __init__(self, connectors: World, lease: timedelta = LEASE) -> None:
        database, users = connectors.database, UserDirectory(connectors.users)
        kernel: Any = SimpleNamespace(
            database=database, users=users, clock=CLOCK, changes=connectors.changes
        )
        self.feed = PostingStore(database, connectors.keys, CLOCK, lease)
        keys = MoneyKeys(connectors.keys)
        accounts, categories = AccountStore(database), CategoryStore(database)
        self.book = Book(LedgerStore(database), keys, users, UsualCategories(categories).make)
        changes = MoneyChanges(connectors.changes, self.book)
        memory = PayeeMemory(PayeeStore(database), Lookups(accounts, categories))
        remembering = Remembering(OriginStore(database), self.feed)
        self.transactions = built_transactions(
            kernel, changes, self.book, accounts, categories, memory, [remembering]
        )
        self.posting = built_posting(
            kernel, self.feed, changes, keys, accounts, self.transactions, memory, remembering
        )
        self.poster, self.streams = self.posting.poster, self.posting.streams
        self.accounts = AccountService(
            changes, self.book, keys, accounts, users, CLOCK, self.streams
        )
        self.categories = CategoryService(changes, keys, categories, users)
        self.changes = changes
        self.owned = [
            *self.posting.owned, self.book, categories, accounts, *self.transactions.owned,
        ]  # fmt: skip
        self.erasures = ErasureStore(database)

    async def post(self, *, abandoned: bool = True) -> int:
        """Post all that is due; gives how many connectors."""
        count = 0
        while (job := await self.feed.claim(abandoned=abandoned)) is not None:
            await self.poster.post(job)
            count += 1
        return count


class PostingWorld:
    """A user with a connector of Fi."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.connectors = World(database)
        self.worker = Worker(self.connectors)
        self.connectors.user_service = UserService(
            self.connectors.changes,
            self.connectors.users,
            [self.connectors.service, MoneyDependents(self.worker.book, self.worker.erasures)],
        )
        self.items = self.connectors.platform.items
        self.connector: Connector
        self.owner: MoneyOwner

    async def start(self) -> PostingWorld:
        self.items.update({each: [] for each in self.items})
        self.connector = await self.connectors.connected("transactions", "portfolio")
        users = UserDirectory(self.connectors.users)
        user_id = self.connector.user_id
        self.owner = MoneyOwner(await users.identity(user_id), user_id)
        return self

    async def sync(
        self, rows: Sequence[Item] | None = None, holdings: Sequence[Item] | None = None
    ) -> None:
        """A sync that brings these, and what follows from it."""
        if rows is not None:
            self.items["transactions"] = list(rows)
        if holdings is not None:
            self.items["portfolio"] = list(holdings)
        await self.connectors.sync(self.connector.id)
        await self.worker.post()

    async def disconnect(self, *, delete_records: bool = False) -> None:
        service = self.connectors.service
        await service.disconnect(self.connector.id, delete_records=delete_records)
        await self.worker.post()

    async def connect_again(self) -> None:
        await self.connectors.connect(
            self.owner.user_id, self.connector.platform, self.connector.permissions, {}
        )

    async def all(self) -> list[Transaction]:
        """All transactions of the user, oldest first."""
        view = await self.worker.book.balances(self.owner.id)
        if view.box is None:
            return []
        store = TransactionStore(self.database)
        return [
            opened_transaction(each, view.box, view.resolved)
            async for each in store.all(self.owner.id)
        ]

    async def signed(self) -> list[int]:
        return [each.signed for each in await self.all()]

    async def accounts(self) -> dict[str, Account]:
        """By stream, or by name without one."""
        found = await self.worker.accounts.list(self.owner, None)
        return {each.stream or each.name: each for each in found}

    async def account(self, stream: str = f"bank:{BANK}") -> Account:
        return (await self.accounts())[stream]

    async def balance(self, stream: str = f"bank:{BANK}", day: date | None = None) -> DayBalance:
        account = await self.account(stream)
        return await self.worker.accounts.balance(self.owner, account.id, day)

    async def make_account(self, name: str = "Purse", opening: str = "0") -> Account:
        await self.worker.changes.start(self.owner)
        new = NewAccount(name, "bank", INR, Given(opening))
        return await self.worker.accounts.create(self.owner, new)

    async def category(self, type_: str = "expense") -> str:
        await self.worker.changes.start(self.owner)
        return next(
            each.id
            for each in await self.worker.categories.list(self.owner, None)
            if each.type == type_
        )

    async def type(
        self, account_id: str, value: str = "450.00", kind: Any = "expense", day: date = DAY,
        **others: Any,
    ) -> Transaction:  # fmt: skip
        new = NewTransaction(
            account_id=account_id, kind=kind, amount=Amount(value), day=day, **others
        )
        return (await self.worker.transactions.service.create(self.owner, new)).transaction

    async def update(self, identifier: str, **changes: Any) -> Transaction:
        update = Update(id=identifier, changes=TransactionChanges(**changes), unlock=True)
        service = self.worker.transactions.service
        return (await service.update(self.owner, update)).transaction

    async def delete(self, *ids: str, forget: bool = False) -> None:
        await self.worker.transactions.deletion.delete(self.owner, ids, forget=forget, unlock=True)

    async def restore(self, identifier: str) -> Transaction:
        deletion = self.worker.transactions.deletion
        return (await deletion.restore(self.owner, identifier)).transaction

    async def stored(self) -> dict[str, list[Document]]:
        """All documents of money, and the events about it."""
        names = (*OWNED, LEDGERS, ROLLUPS, "transaction_deletions")
        found = {
            each: await self.database.collection(each).find({}).sort("_id", 1).to_list(None)
            for each in names
        }
        events = self.database.collection(AUDIT_EVENTS).find({"action": {"$regex": "^(tra|acc)"}})
        return {**found, AUDIT_EVENTS: await events.to_list(None)}

    async def due_now(self) -> None:
        """What waits to be tried again need not wait any more."""
        postings = self.database.collection("record_postings")
        await postings.update_many({"dueAt": {"$exists": True}}, {"$set": {"dueAt": EVER}})

    async def post_again(self) -> None:
        """Have every row come again, as after a restored backup."""
        await self.database.collection("records").update_many(
            {"dataType": "transactions"}, {"$set": {"unposted": True}}
        )
        await self.database.collection("record_postings").update_many(
            {}, {"$set": {"dueAt": datetime.now(UTC)}}
        )
        await self.worker.post()

    async def origins(self) -> int:
        return await self.count(ORIGINS)

    async def count(self, collection: str) -> int:
        query = {"owner": ObjectId(self.owner.id)}
        return await self.database.collection(collection).count_documents(query)

    async def recounted(self) -> list[str]:
        """Differences of balances and rollups from the rows."""
        book, store = self.worker.book, TransactionStore(self.database)
        async with book.moment() as session:
            view = await book.balances(self.owner.id, session)
            if view.box is None:
                return []
            box = view.box

            async def entries() -> Any:
                async for each in store.all(self.owner.id, session):
                    yield opened_transaction(each, box, view.resolved).entry

            return await book.recount(self.owner.id, entries(), session)

    async def erase_user(self) -> None:
        await self.connectors.user_service.delete(self.owner.user_id)
        erasure = UserErasure(self.worker.erasures, self.worker.owned)
        while await erasure.erase_some():
            pass
