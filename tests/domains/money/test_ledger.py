"""The ledger against a plain model of it, over changes of every kind, workers and races."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import date, timedelta
from functools import partial

import pytest
from bson import ObjectId

from server.core.errors import SessionEnded
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.ledger.model import Balance, Cell, Entry
from server.domains.money.ledger.service import Book
from server.domains.money.ledger.store import LEDGERS, ROLLUPS
from server.security.encryption import Undecipherable
from server.storage.data_keys import DATA_KEYS
from server.storage.driver import ClientSession
from tests.domains.money.conftest import Ledgers
from tests.domains.money.ledger_model import (
    DAYS,
    FIRST,
    PlainLedger,
    added_up,
    changed,
    random_entry,
    week_of,
)

DAY = date(2026, 2, 3)
LAST = FIRST + timedelta(days=DAYS + 60)
EVER = (date(1900, 1, 1), date(2100, 1, 1))
DEADLINE_SECONDS = 60.0  # for writers that conflict, however slow the machine is


def new_ids(count: int) -> list[str]:
    return [str(ObjectId()) for _ in range(count)]


def spent(account_id: str, units: int, day: date = DAY, category: str | None = None) -> Entry:
    return Entry(account_id, day, "expense", "posted", False, units, [(category, units)])


async def change(
    book: Book, owner: str, work: Callable[[LedgerChange], None], *, looks: bool = False
) -> int:
    """Make a change of a ledger, or what may be one; gives its `rev`."""

    async def run(session: ClientSession) -> int:
        opened = await (book.look if looks else book.open)(owner, session)
        work(opened)
        await opened.save()
        return opened.rev

    deadline = time.monotonic() + DEADLINE_SECONDS
    return await book._store.database.transact(run, deadline=deadline)


async def given(entries: Iterable[Entry]) -> AsyncIterator[Entry]:
    for entry in entries:
        yield entry


async def differences(book: Book, owner: str, entries: Iterable[Entry]) -> list[str]:
    async with book._store.database.at_one_moment() as session:
        return await book.recount(owner, given(entries), session)


def by_place(cells: Iterable[Cell]) -> dict[object, tuple[int, int]]:
    found: dict[object, tuple[int, int]] = {}
    for cell in cells:
        place = (cell.day, cell.account_id, cell.category_id, cell.kind)
        units, count = found.get(place, (0, 0))
        found[place] = (units + cell.units, count + cell.count)
    return found


class Compared:
    """A ledger and its plain model, which get the same changes."""

    def __init__(self, books: list[Book], owner: str, seed: int) -> None:
        self.books, self.owner, self.chance = books, owner, random.Random(seed)  # noqa: S311 - to be repeated
        self.plain = PlainLedger()
        self.accounts, self.categories = new_ids(4), new_ids(6)
        self.revs: list[int] = []
        self.next = 0

    async def make(self, work: Callable[[LedgerChange], None]) -> None:
        self.revs.append(await change(self.chance.choice(self.books), self.owner, work))

    async def start(self) -> None:
        self.plain.openings = dict.fromkeys(self.accounts, (1_000, None))

        def work(opened: LedgerChange) -> None:
            for account in self.accounts:
                opened.open_account(account, 1_000, None)

        await self.make(work)

    async def step(self) -> None:
        kind = self.chance.random()
        if kind < 0.9:
            await self.post_some()
        elif kind < 0.95:
            await self.move_opening()
        elif kind < 0.98 and len(self.categories) > 2:
            await self.merge_category()
        elif len(self.accounts) > 2:
            await self.remove_account()

    async def post_some(self) -> None:
        posts: list[tuple[Entry | None, Entry | None]] = []
        entries = dict(self.plain.entries)
        living = [key for key, each in entries.items() if each.account_id in self.accounts]
        for _ in range(self.chance.choice([1, 1, 2, 8])):
            if living and self.chance.random() < 0.5:
                key = living.pop(self.chance.randrange(len(living)))
                before, after = entries[key], None
                if self.chance.random() < 0.6:
                    after = entries[key] = changed(self.chance, before, self.accounts)
                else:
                    del entries[key]
                posts.append((before, after))
            else:
                self.next += 1
                entry = random_entry(self.chance, self.accounts, self.categories)
                entries[self.next] = entry
                posts.append((None, entry))

        def work(opened: LedgerChange) -> None:
            for before, after in posts:
                opened.post(before, after)

        await self.make(work)
        self.plain.entries = entries

    async def move_opening(self) -> None:
        account, opening = self.chance.choice(self.accounts), self.chance.randrange(-900, 900)
        day = self.chance.choice([None, FIRST + timedelta(days=self.chance.randrange(DAYS))])
        self.plain.openings[account] = (opening, day)
        await self.make(lambda opened: opened.set_opening(account, opening, day))

    async def merge_category(self) -> None:
        category = self.categories.pop()
        into = self.chance.choice([*self.categories, None])
        await self.make(lambda opened: opened.merge_category(category, into))
        self.plain.merged[category] = into

    async def remove_account(self) -> None:
        account = self.accounts.pop()
        await self.make(lambda opened: opened.remove_account(account, is_empty=False))
        del self.plain.openings[account]
        if self.chance.random() < 0.5:
            await self.make(lambda opened: opened.forget_account(account))
            self.plain.entries = {
                key: each for key, each in self.plain.entries.items() if each.account_id != account
            }

    async def check(self) -> None:
        book = self.chance.choice(self.books)
        view = await book.balances(self.owner)
        found = {key: without_rev(each) for key, each in view.balances.items()}
        assert found == {each: self.plain.balance(each) for each in self.plain.openings}
        assert view.rev == self.revs[-1]
        since = FIRST + timedelta(days=self.chance.randrange(-20, DAYS))
        until = since + timedelta(days=self.chance.randrange(100))
        for days in ((since, until), EVER):
            cells = self.plain.cells(*days)
            assert by_place(await book.cells(self.owner, *days)) == cells
            summed = await book.view(self.owner, *days, day_of=week_of)
            assert by_place(summed.cells) == added_up(cells)
        account = self.chance.choice(self.accounts)
        opening_day = self.plain.openings[account][1]
        if opening_day is None or until >= opening_day:
            on_day = await book.balance_on(self.owner, account, until)
            expected = self.plain.balance(account, until)
            assert (on_day.balance, on_day.reconciled, on_day.pending) == (
                expected.balance, expected.reconciled, expected.pending
            )  # fmt: skip
        assert await differences(book, self.owner, self.plain.living()) == []


def without_rev(balance: Balance) -> Balance:
    return Balance(
        balance.balance, balance.reconciled, balance.pending, balance.count, balance.last_day
    )


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.full_only) for n in (1, 2))]
)
async def test_random_changes_leave_what_a_recount_finds(
    ledgers: Ledgers, owner: str, seed: int, request: pytest.FixtureRequest
) -> None:
    steps = 3_000 if request.config.getoption("--full") else 150
    compared = Compared([ledgers.book() for _ in range(3)], owner, seed)
    await compared.start()
    for number in range(steps):
        await compared.step()
        if number % 25 == 24:
            await compared.check()
    assert compared.revs == sorted(set(compared.revs))


async def test_writers_of_one_user_come_one_after_the_other(ledgers: Ledgers, owner: str) -> None:
    (account,) = new_ids(1)
    books = [ledgers.book() for _ in range(3)]
    await change(books[0], owner, lambda opened: opened.open_account(account, 0, None))

    async def write(book: Book, numbers: range) -> list[int]:
        """As a process does: there its own changes of a user wait for each other."""
        entries = [spent(account, -(1 << number)) for number in numbers]
        return [
            await change(book, owner, partial(LedgerChange.post, before=None, after=each))
            for each in entries
        ]

    written = await asyncio.gather(
        *(write(book, range(first, 24, 3)) for first, book in enumerate(books))
    )
    revs = [rev for of_book in written for rev in of_book]
    assert sorted(revs) == list(range(min(revs), min(revs) + 24))
    balance = (await books[1].balances(owner)).balances[account]
    assert (balance.balance, balance.count) == (-(1 << 24) + 1, 24)


async def test_a_ledger_is_made_once_by_whoever_is_first(ledgers: Ledgers, owner: str) -> None:
    accounts = new_ids(8)
    works = [
        change(ledgers.book(), owner, lambda opened, each=each: opened.open_account(each, 1, None))  # type: ignore[misc]
        for each in accounts
    ]
    assert sorted(await asyncio.gather(*works)) == list(range(1, 9))
    assert await ledgers.starts(owner) == 1
    assert await ledgers.database.collection(DATA_KEYS).count_documents({"user": owner}) == 1
    assert (await ledgers.book().balances(owner)).balances.keys() == set(accounts)


async def test_of_an_aborted_change_nothing_is_left(ledgers: Ledgers, owner: str) -> None:
    (account,) = new_ids(1)
    book = ledgers.book()
    rev = await change(book, owner, lambda opened: opened.open_account(account, 0, None))

    async def fails(session: ClientSession) -> None:
        opened = await book.open(owner, session)
        opened.post(None, spent(account, -5))
        await opened.save()
        raise LookupError

    with pytest.raises(LookupError):
        await ledgers.database.transact(fails)
    view = await book.balances(owner)
    assert (view.rev, view.balances[account].balance) == (rev, 0)
    assert await book.cells(owner, *EVER) == []


async def test_more_is_never_taken_than_was_posted(ledgers: Ledgers, owner: str) -> None:
    (account,) = new_ids(1)
    book = ledgers.book()
    await change(book, owner, lambda opened: opened.open_account(account, 0, None))
    await change(book, owner, lambda opened: opened.post(None, spent(account, -5)))
    for wrong in (spent(account, -6), spent(account, -5, DAY - timedelta(days=1))):
        with pytest.raises(ValueError, match="was not posted"):
            await change(book, owner, lambda opened, wrong=wrong: opened.post(wrong, None))  # type: ignore[misc]
    uneven = Entry(account, DAY, "expense", "posted", False, -5, [(None, -4)])
    with pytest.raises(ValueError, match="add up"):
        await change(book, owner, lambda opened: opened.post(None, uneven))
    with pytest.raises(KeyError):
        await change(book, owner, lambda opened: opened.post(None, spent(new_ids(1)[0], -5)))


async def test_a_recount_names_what_differs_without_amounts(ledgers: Ledgers, owner: str) -> None:
    account, other = new_ids(2)
    book = ledgers.book()
    await change(book, owner, lambda opened: opened.open_account(account, 0, None))
    await change(book, owner, lambda opened: opened.post(None, spent(account, -731)))
    assert await differences(book, owner, [spent(account, -731)]) == []
    found = await differences(book, owner, [spent(account, -732), spent(other, -1)])
    assert found == [
        f"account {other}: not in the ledger",
        f"2026-02-03: account {account}, category none, code 0",
        f"account {account}: posted",
    ]
    (nobody,) = new_ids(1)
    assert await differences(book, nobody, []) == []
    assert await differences(book, nobody, [spent(other, 1)]) != []


async def test_a_deleted_users_money_opens_never_again(ledgers: Ledgers, owner: str) -> None:
    (account,) = new_ids(1)
    book = ledgers.book()
    await change(book, owner, lambda opened: opened.open_account(account, 0, None))
    last = await change(book, owner, lambda opened: opened.post(None, spent(account, -5)))
    rollups = ledgers.database.collection(ROLLUPS)
    mine = {"_id": {"$regex": f"^{owner}/"}}
    kept = await rollups.find(mine).to_list(None)
    old = await ledgers.database.collection(LEDGERS).find_one({"_id": ObjectId(owner)})
    assert await ledgers.database.transact(lambda session: book.end(owner, session))
    assert not await ledgers.database.transact(lambda session: book.end(owner, session))
    assert await ledgers.database.collection(DATA_KEYS).find_one({"user": owner}) is None
    assert (await book.balances(owner)).balances == {}
    await book.erase(owner)
    assert await rollups.count_documents(mine) == 0

    # A backup of the ledger without its key, which is what a restored one would be.
    assert old is not None
    await ledgers.database.collection(LEDGERS).replace_one({"_id": old["_id"]}, old)
    await rollups.insert_many(kept)
    with pytest.raises(Undecipherable):
        await book.balances(owner)
    await ledgers.database.transact(lambda session: book.end(owner, session))
    await book.erase(owner)

    ledgers.people.gone.add(owner)
    with pytest.raises(SessionEnded):
        await change(book, owner, lambda opened: opened.open_account(account, 0, None))
    ledgers.people.gone.clear()  # restored: a `rev` that a client remembers must not come again
    again = await change(book, owner, lambda opened: opened.open_account(account, 0, None))
    assert again > last
    assert await ledgers.starts(owner) == 2
    assert await book.cells(owner, *EVER) == []


async def test_nothing_of_a_ledger_is_readable(ledgers: Ledgers, owner: str) -> None:
    (account,) = new_ids(1)
    book = ledgers.book()
    canary = 7_319_264_518
    await change(book, owner, lambda opened: opened.open_account(account, canary, None))
    await change(book, owner, lambda opened: opened.post(None, spent(account, canary)))
    for name in (LEDGERS, ROLLUPS):
        async for document in ledgers.database.collection(name).find():
            for sealed in filter(None, [document.get("sealed")]):
                assert canary.to_bytes(8, "big") not in sealed
                assert len(sealed) % 64 == 0
            assert str(canary) not in str({**document, "sealed": None})


async def test_a_look_that_changes_nothing_leaves_the_ledger_as_it_is(
    ledgers: Ledgers, owner: str
) -> None:
    book, (account,) = ledgers.book(), new_ids(1)
    await change(book, owner, lambda opened: opened.open_account(account, 0, None))
    collection = ledgers.database.collection(LEDGERS)
    before = await collection.find_one({"_id": ObjectId(owner)})
    assert before is not None
    assert await change(book, owner, lambda _: None, looks=True) == before["rev"] + 1
    assert await collection.find_one({"_id": ObjectId(owner)}) == before
    entries = [spent(account, -each) for each in range(1, 9)]
    revs = await asyncio.gather(*(
        change(ledgers.book(), owner, lambda opened, each=each: opened.post(None, each), looks=looks)  # type: ignore[misc]
        for each, looks in zip(entries, [True, False] * 4, strict=True)
    ))  # fmt: skip
    assert sorted(revs) == [before["rev"] + each for each in range(1, 9)]
    assert (await book.balances(owner)).rev == max(revs)
    assert await differences(book, owner, entries) == []
    touched = await change(book, owner, lambda opened: opened.touch(), looks=True)
    assert (await book.balances(owner)).rev == touched == max(revs) + 1
