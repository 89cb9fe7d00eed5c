"""Fills a database with users and their transactions, through the use cases that serve callers.

So all is there that a change leaves: ledger, sums by month, payees, audit events. Several processes do it,
each a share at a time. The database is kept between runs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from multiprocessing import get_context
from typing import Any

from pymongo import MongoClient

from bench import data
from bench.data import Progress
from bench.database import opened
from bench.money import shape, sizes
from bench.money.shape import MAIN, MOVER, Home, Share, Size
from server.commands.database import audit_trail, key_ring
from server.core.clock import CLOCK
from server.domains.money.accounts.model import NewAccount
from server.domains.money.accounts.service import AccountService
from server.domains.money.accounts.store import AccountStore
from server.domains.money.categories.model import NewCategory
from server.domains.money.categories.service import CategoryService
from server.domains.money.categories.store import CategoryStore
from server.domains.money.categories.usual import UsualCategories
from server.domains.money.ledger.changes import MoneyChanges
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.ledger.service import Book
from server.domains.money.ledger.store import LedgerStore
from server.domains.money.posting.memory import PayeeMemory
from server.domains.money.posting.store import PayeeStore
from server.domains.money.sealing.service import MoneyKeys
from server.domains.money.transactions.lookups import Lookups
from server.domains.money.transactions.remembered import DeletionLog
from server.domains.money.transactions.service import TransactionService
from server.domains.money.transactions.store import TransactionStore
from server.domains.money.transactions.work import WorkRunner
from server.domains.users.service import UserDirectory
from server.domains.users.store import UserStore
from server.observability.logging import setup_logging
from server.startup import indexes
from server.storage.changes import RecordedChanges
from server.storage.data_keys import DataKeyStore
from server.storage.indexes import ensure_indexes

MARKER = "bench_money"
FORM = 1  # grows when the documents change, which loads them again
MOVING = "Moving"  # begins the name of the category that all transactions of one user have
_AT_ONCE = 500  # transactions of a change
_ACCOUNTS: Sequence[NewAccount] = (
    NewAccount("Savings", "bank"), NewAccount("Card", "credit_card"), NewAccount("Cash", "cash"),
    NewAccount("Wallet", "wallet"), NewAccount("Travel", "bank", "EUR"),
)  # fmt: skip
Document = dict[str, Any]


@dataclass(frozen=True)
class UseCases:
    users: UserDirectory
    accounts: AccountService
    categories: CategoryService
    transactions: TransactionService

    async def home(self, user: int) -> tuple[MoneyOwner, Home]:
        """The accounts and categories of a user, which are made the first time."""
        name = shape.user_id(user)
        owner = MoneyOwner(await self.users.identity(name), name)
        categories = await self.categories.list(owner)
        accounts = list(await self.accounts.list(owner, None))
        if not accounts:
            wanted = _ACCOUNTS if user == MAIN else _ACCOUNTS[:2]
            accounts = [await self.accounts.create(owner, each) for each in wanted]
            if user == MOVER:
                moving = NewCategory(f"{MOVING} 0", "expense")
                categories = [*categories, await self.categories.create(owner, moving)]
        expense = [each.id for each in categories if each.type == "expense"]
        if user == MOVER:
            expense = [each.id for each in categories if each.name.startswith(MOVING)]
        income = [each.id for each in categories if each.type == "income"]
        accounts.sort(key=lambda each: each.currency != "INR")
        return owner, Home([each.id for each in accounts], expense, income)


@asynccontextmanager
async def use_cases(uri: str, name: str) -> AsyncIterator[UseCases]:
    async with opened(uri, name) as (database, settings):
        users = UserDirectory(UserStore(database))
        keys = MoneyKeys(DataKeyStore(database, key_ring(settings)))
        accounts, categories = AccountStore(database), CategoryStore(database)
        book = Book(LedgerStore(database), keys, users, UsualCategories(categories).make)
        recorded = RecordedChanges(database, await audit_trail(database, settings))
        changes, lookups = MoneyChanges(recorded, book), Lookups(accounts, categories)
        store, memory = TransactionStore(database), PayeeMemory(PayeeStore(database), lookups)
        works = WorkRunner(changes, store, DeletionLog(database), CLOCK, memory)
        yield UseCases(
            users,
            AccountService(changes, book, keys, accounts, users, CLOCK),
            CategoryService(changes, keys, categories, users),
            TransactionService(works, store, lookups, users, CLOCK),
        )


def ensure(uri: str, size: Size, progress: Progress) -> Document:
    """Fill the database of that size unless it is full; gives what is known of it: `today`, and `sizes`.

    Transactions that runs add and delete leave the others as they are.
    """
    with MongoClient[Document](uri, tz_aware=True) as client:
        database = client[size.database]
        marker = database[MARKER].find_one({"_id": "data", "form": FORM})
        if marker is not None:
            return marker
        client.drop_database(size.database)
        data.fill(database, size.users, progress)
        today = date.today()  # noqa: DTZ011 - any day near it will do
        fill(uri, size, today, progress)
        marker = {
            "_id": "data", "form": FORM, "today": today.isoformat(), "sizes": sizes.measure(database)
        }  # fmt: skip
        database[MARKER].insert_one(marker)
        return marker


def fill(uri: str, size: Size, today: date, progress: Progress) -> None:
    """Write all rows, in as many processes as there are cores."""
    asyncio.run(prepare(uri, size))
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), _begin) as pool:

        def work(what: str, wanted: Mapping[Future[None], int]) -> None:
            done, total = 0, sum(wanted.values())
            try:
                for each in as_completed(wanted):
                    each.result()
                    done += wanted[each]
                    progress(what, done, total)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

        settling = {
            pool.submit(_settle_alone, uri, size.database, users): len(users)
            for users in shape.groups(size)
        }
        work("accounts", settling)
        writing = {
            pool.submit(_write_alone, uri, size.database, share, today): share.total
            for share in shape.shares(size)
        }
        work("transactions", writing)


async def prepare(uri: str, size: Size) -> None:
    """The indexes of a database that is to be filled."""
    async with opened(uri, size.database) as (database, settings):
        await ensure_indexes(database, indexes(settings))


async def settle(uri: str, name: str, users: Iterable[int]) -> None:
    """Give users their accounts."""
    async with use_cases(uri, name) as cases:
        for user in users:
            await cases.home(user)


async def write(uri: str, name: str, share: Share, today: date) -> None:
    async with use_cases(uri, name) as cases:
        for user in share.users:
            owner, home = await cases.home(user)
            new = iter(shape.transactions(user, home, share, today))
            while some := list(islice(new, _AT_ONCE)):
                await cases.transactions.create_many(owner, some)


# In processes of their own:


def _begin() -> None:
    setup_logging("WARNING", process="bench")


def _settle_alone(uri: str, name: str, users: range) -> None:
    asyncio.run(settle(uri, name, users))


def _write_alone(uri: str, name: str, share: Share, today: date) -> None:
    asyncio.run(write(uri, name, share, today))


def day_of(marker: Document) -> date:
    return datetime.fromisoformat(marker["today"]).date()
