"""The benchmark of money: what it fills a database with is what Finlink itself would have there."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from itertools import pairwise
from pathlib import Path

from typer.testing import CliRunner

from bench import data
from bench.__main__ import app
from bench.database import opened
from bench.money import calls, filling, posting, shape, sizes
from bench.money.shape import MAIN, MOVER, Home, Share, Size
from bench.table import verdict
from server.commands.database import key_ring
from server.domains.money.ledger.service import Book
from server.domains.money.ledger.store import LedgerStore
from server.domains.money.sealing.service import MoneyKeys
from server.domains.money.transactions import store as transaction_store
from server.domains.money.transactions.store import TransactionStore
from server.domains.money.transactions.verification.model import Report
from server.domains.money.transactions.verification.service import Verification
from server.domains.money.transactions.verification.store import CheckStore
from server.domains.users.service import UserDirectory
from server.domains.users.store import UserStore
from server.storage.data_keys import DataKeyStore
from server.storage.indexes import ensure_indexes
from tests.mongodb import MongoDb

TODAY = date(2026, 11, 29)
HOME = Home(["bank", "card", "euro"], ["food", "rent"], ["wage"])


def test_shares_are_all_rows_from_old_to_new() -> None:
    found = shape.shares(Size(rows=20_000, user_rows=6_010))
    rows: Counter[int] = Counter()
    seen: dict[int, int] = {}
    for share in found:
        for user in share.users:
            assert seen.get(user, -1) < share.number
            seen[user] = share.number
            rows[user] += share.rows
    assert (rows[MAIN], rows[MOVER]) == (6_010, 6_010)
    assert sum(rows.values()) - rows[MAIN] >= 20_000
    assert len(rows) == Size(rows=20_000, user_rows=6_010).users


def test_transactions_are_the_same_again_and_fill_five_years() -> None:
    made = [shape.transactions(MAIN, HOME, Share(range(1), 500, n, 20), TODAY) for n in range(20)]
    assert made[7] == shape.transactions(MAIN, HOME, Share(range(1), 500, 7, 20), TODAY)
    every = [each for share in made for each in share]
    days = [each.day for each in every if each.day is not None]
    assert days == sorted(days)
    assert (days[0], days[-1]) == (date(2021, 12, 1), TODAY)
    assert len(every) + sum(each.kind == "transfer" for each in every) == 10_000
    assert {each.kind for each in every} == set(shape.KINDS)
    pairs = {(each.account_id, each.to_account_id) for each in every if each.to_account_id}
    assert pairs == {("bank", "card"), ("card", "bank")}  # within one currency


def test_the_other_user_has_one_category() -> None:
    home = Home(["bank"], ["moving"], ["wage"])
    made = shape.transactions(MOVER, home, Share(range(1, 2), 300, 0, 1), TODAY)
    named = {each.category_id for each in made} | {p.category_id for e in made for p in e.parts}
    assert named == {"moving", None}


async def test_filled_ledgers_are_those_of_their_transactions(mongodb: MongoDb) -> None:
    name = "bench_money_test"
    users = [data.user(number) for number in range(3)]
    async with opened(mongodb.uri, name) as (database, settings):
        await ensure_indexes(database, transaction_store.INDEXES)
        await database.collection("users").insert_many(users)
        for share in (
            Share(range(2), 20, 0, 2),
            Share(range(2), 20, 1, 2),
            Share(range(2, 3), 9, 0, 1),
        ):
            await filling.write(mongodb.uri, name, share, TODAY)
        directory = UserDirectory(UserStore(database))
        keys = MoneyKeys(DataKeyStore(database, key_ring(settings)))
        book = Book(LedgerStore(database), keys, directory)
        verification = Verification(book, TransactionStore(database), CheckStore(database))
        report: Report = await verification.of_all(lambda *_: None)
        await database.drop()
    assert (report.users, report.transactions, report.problems) == (3, 89, [])


def test_rows_have_the_figures_that_are_asked_for() -> None:
    times: calls.Times = {name: [[6.0, 7.0, 60.0]] * 3 for name in calls._TIMES}
    found = {row["row"]: row for row in calls.rows(times)}
    assert verdict(found["create, p50"]) == "aim"
    assert verdict(found["create, p99"]) == "not reached"
    assert verdict(found["list 50, first page"]) == "reached"
    assert found["… over the first page"]["median"] == 1
    json.dumps([*found.values(), calls.shown(times)])


def test_bytes_are_those_of_a_transaction() -> None:
    one = {"documents": 10, "bytes": 4_000, "disk": 2_000, "indexes": 1_000}
    found = sizes.rows(
        dict.fromkeys(("transactions", "money_rollups", "money_ledgers", "payees"), one)
    )
    assert [row["median"] for row in found] == [400, 200, 100, 900]


def test_a_statement_is_a_chain_of_balances(tmp_path: Path) -> None:
    folder = posting.recorded(tmp_path, rows=30)
    (path,) = folder.rglob("fetch_bank_transactions.json")
    (bank,) = json.loads(path.read_text())["bankTransactions"]
    rows = bank["txns"][::-1]
    assert len(rows) == len({row[1] for row in rows}) == 30
    for before, after in pairwise(rows):
        moved = int(after[0]) if after[3] == 1 else -int(after[0])
        assert int(after[5]) == int(before[5]) + moved
        assert after[2] >= before[2]


def test_an_unknown_section_of_money_is_refused() -> None:
    outcome = CliRunner().invoke(app, ["money", "--only", "nothing"])
    assert outcome.exit_code != 0
    assert "there are sizes, calls" in str(outcome.exception)
