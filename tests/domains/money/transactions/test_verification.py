"""Ledgers beside what they are the sum of: equal after any change, and different if one was tampered with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from msgspec.structs import replace
from prometheus_client import REGISTRY

from server.domains.money.ledger.erasure import MoneyDependents
from server.domains.money.ledger.store import ERASURES, LEDGERS, ROLLUPS, ErasureStore
from server.domains.money.transactions.documents import TRANSACTIONS, document_of
from server.domains.money.transactions.model import Origin
from server.domains.money.transactions.verification.model import MOST_SHOWN, Recounted, Report
from server.domains.money.transactions.verification.service import (
    EVERY,
    NO_LEDGER,
    NO_ORIGIN,
    UNREADABLE,
    Sampling,
    Verification,
)
from server.domains.money.transactions.verification.store import CHECKS, ORIGINS, CheckStore
from server.security.ring import KeyRing
from server.storage.driver import Database
from tests.domains.money.transactions.world import TurnedClock, World, new_world


@dataclass
class Recounts:
    world: World
    checks: CheckStore
    verification: Verification
    sampling: Sampling

    async def now(self) -> Recounted:
        return await self.verification.of_user(self.world.owner.id)

    async def all(self) -> Report:
        return await self.verification.of_all(lambda _, __: None)


def sampling(verification: Verification, checks: CheckStore, clock: Any) -> Sampling:
    return Sampling(verification, checks, clock)


@pytest.fixture
async def recounts(transactions_database: Database, ring: KeyRing) -> Recounts:
    for name in (CHECKS, LEDGERS, ROLLUPS, TRANSACTIONS, ERASURES):
        await transactions_database.collection(name).delete_many({})
    world = await new_world(transactions_database, ring)
    checks = CheckStore(transactions_database)
    verification = Verification(world.worker.book, world.worker.store, checks)
    return Recounts(world, checks, verification, sampling(verification, checks, world.clock))


async def spoil(world: World) -> None:
    """Write a transaction past the ledger."""
    made = await world.create("10.00")
    transaction = made.transaction
    box = (await world.view()).box
    assert box is not None
    document = document_of(replace(transaction, units=transaction.units + 1), box)
    await world.database.collection(TRANSACTIONS).replace_one({"_id": document["_id"]}, document)


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("finlink_money_recounts_total", {"outcome": outcome}) or 0.0


async def test_a_ledger_is_the_sum_of_what_was_changed(recounts: Recounts) -> None:
    world = recounts.world
    one = await world.create("12.50", category_id=world.food)
    await world.create("7.00", "transfer", to_account_id=world.card)
    await world.create("3.00", status="pending")
    await world.merge(world.food, world.snacks)
    await world.delete(one.transaction.id)
    await world.remove_account(world.card)
    # The leg in the removed account is stored until it is erased, and is in no sum.
    assert await recounts.now() == Recounted(world.owner.id, 3)


async def test_a_transaction_that_passed_the_ledger_by_is_found(recounts: Recounts) -> None:
    world = recounts.world
    await spoil(world)
    found = await recounts.now()
    assert found.outcome == "different"
    assert found.transactions == 1
    account = world.bank
    assert list(found.differences) == [
        f"2026-11-03: account {account}, category none, code 0",
        f"account {account}: posted",
    ]


async def test_a_row_of_a_bank_without_its_origin_is_found(recounts: Recounts) -> None:
    world = recounts.world
    transaction = (await world.create("10.00")).transaction
    box = (await world.view()).box
    assert box is not None
    synced = replace(transaction, origins=(Origin("connector", str(ObjectId())),))
    document = document_of(synced, box)
    await world.database.collection(TRANSACTIONS).replace_one({"_id": document["_id"]}, document)
    assert (await recounts.now()).differences == (f"transaction {transaction.id}: {NO_ORIGIN}",)
    origin = {"owner": ObjectId(world.owner.id), "transactionId": ObjectId(transaction.id)}
    await world.database.collection(ORIGINS).insert_one(origin)
    assert (await recounts.now()).differences == ()


async def test_a_lost_month_is_found(recounts: Recounts) -> None:
    world = recounts.world
    await world.create("10.00")
    await world.database.collection(ROLLUPS).delete_one({"_id": f"{world.owner.id}/2026-11"})
    (difference,) = (await recounts.now()).differences
    assert difference.startswith(f"2026-11-03: account {world.bank}")


async def test_all_are_recounted(recounts: Recounts, ring: KeyRing) -> None:
    other = await new_world(recounts.world.database, ring)
    await spoil(other)
    shown: list[tuple[int, int]] = []
    report = await recounts.verification.of_all(lambda r, total: shown.append((r.users, total)))
    assert (report.users, report.transactions, report.different) == (2, 1, 1)
    assert shown == [(1, 2), (2, 2)]
    assert len(report.problems) == 2
    assert all(each.startswith(f"user {other.owner.id}: ") for each in report.problems)


async def test_a_user_without_money_differs_in_nothing(recounts: Recounts) -> None:
    nobody = str(ObjectId())
    assert await recounts.verification.of_user(nobody) == Recounted(nobody)


async def test_transactions_without_a_ledger_are_found_unless_they_are_to_be_erased(
    recounts: Recounts,
) -> None:
    world = recounts.world
    await world.create("10.00")
    ledgers = world.database.collection(LEDGERS)
    await ledgers.update_one(
        {"_id": ObjectId(world.owner.id)}, {"$set": {"endedAt": datetime.now(UTC)}}
    )
    report = await recounts.all()
    assert report.problems == [f"user {world.owner.id}: {NO_LEDGER}"]
    assert report.different == 1
    erasure = {"_id": ObjectId(world.owner.id), "requestedAt": datetime.now(UTC)}
    await world.database.collection(ERASURES).insert_one(erasure)
    assert (await recounts.all()).problems == []


async def test_a_user_who_was_deleted_differs_in_nothing(recounts: Recounts) -> None:
    world = recounts.world
    await world.create("10.00")
    dependents = MoneyDependents(world.worker.book, ErasureStore(world.database))
    user: Any = type("Deleted", (), {"id": world.owner.id})
    await world.database.transact(lambda session: dependents.delete(user, session))
    assert (await recounts.now()).differences == ()
    assert (await recounts.all()).problems == []


async def test_what_cannot_be_opened_is_found(recounts: Recounts) -> None:
    world = recounts.world
    made = await world.create("10.00")
    await world.database.collection(TRANSACTIONS).update_one(
        {"_id": ObjectId(made.transaction.id)}, {"$set": {"sealed": b"\0" * 64}}
    )
    found = await recounts.now()
    assert (found.outcome, found.differences) == ("unreadable", (UNREADABLE,))


async def test_a_sample_is_made_each_hour_by_one_process(recounts: Recounts) -> None:
    world, clock = recounts.world, recounts.world.clock
    other = sampling(recounts.verification, recounts.checks, clock)
    equal, different = counted("equal"), counted("different")
    await recounts.sampling.sample_due()
    await other.sample_due()
    clock.at += EVERY - timedelta(seconds=1)
    await other.sample_due()
    assert (counted("equal") - equal, counted("different") - different) == (1, 0)
    assert (await recounts.sampling.health()).status == "ok"
    await spoil(world)
    clock.at += timedelta(seconds=1)
    await other.sample_due()
    assert (counted("equal") - equal, counted("different") - different) == (1, 1)
    await recounts.sampling.sample_due()  # of the other's sample
    assert REGISTRY.get_sample_value("finlink_money_differences") == 2
    finding = await recounts.sampling.health()
    assert (finding.status, finding.message) == (
        "failing",
        "2 differences between ledgers and transactions: run verify-money",
    )


async def test_health_says_how_long_somebody_waits_to_be_erased(recounts: Recounts) -> None:
    world, clock = recounts.world, TurnedClock()
    made = sampling(recounts.verification, recounts.checks, clock)
    assert (await made.health()).status == "ok"
    erasure = {"_id": ObjectId(), "requestedAt": clock.at - timedelta(minutes=10)}
    await world.database.collection(ERASURES).insert_one(erasure)
    finding = await made.health()
    assert (finding.status, finding.lag_seconds) == ("degraded", 600.0)
    await made.sample_due()
    assert REGISTRY.get_sample_value("finlink_money_erasures") == 1


def test_a_report_shows_so_many_problems_and_counts_the_rest() -> None:
    report = Report()
    report.add(Recounted("a", 1, ["x"] * (MOST_SHOWN - 1)))
    report.add(Recounted("b", 1, ["y"] * 3))
    assert (len(report.problems), report.unshown, report.different) == (MOST_SHOWN, 2, 2)
