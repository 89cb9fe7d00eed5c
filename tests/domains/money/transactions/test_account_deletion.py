"""Accounts that are deleted with their transactions, and users with all they have."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Any

import pytest
from bson import ObjectId

from server.core.clock import Clock
from server.core.errors import Unavailable
from server.domains.money.accounts.erasure import AccountErasure
from server.domains.money.accounts.errors import AccountInUse, AccountNotFound
from server.domains.money.accounts.model import Given
from server.domains.money.accounts.service import AccountService
from server.domains.money.accounts.store import ACCOUNTS, AccountStore
from server.domains.money.categories.store import CategoryStore
from server.domains.money.ledger.erasure import MoneyDependents, Owned, UserErasure
from server.domains.money.ledger.store import ROLLUPS, ErasureStore
from server.domains.money.sealing.service import MoneyKeys
from server.domains.money.transactions.documents import TRANSACTIONS
from server.storage.data_keys import DataKeyStore
from tests.domains.money.transactions.world import People, World


def service(world: World) -> AccountService:
    keys = MoneyKeys(DataKeyStore(world.database, world.ring))
    people: Any = People()
    clock: Clock = world.clock  # type: ignore[assignment]
    return AccountService(
        world.worker.money, world.worker.book, keys, AccountStore(world.database), people, clock
    )


def erasure(world: World, *rows: Any) -> AccountErasure:
    return AccountErasure(
        world.database,
        world.worker.book,
        AccountStore(world.database),
        rows or [world.worker.store],
    )


async def test_the_other_account_keeps_its_balance_and_its_leg(world: World) -> None:
    leg = await world.create("4000.00", "transfer", to_account_id=world.card)
    await world.create("100.00", category_id=world.food)
    rest = (await world.balance(world.card), await world.balance(world.euro))
    with pytest.raises(AccountInUse) as used:
        await service(world).delete(world.owner, world.bank, False)
    assert used.value.metadata == {"transactions": "2"}
    await service(world).delete(world.owner, world.bank, True)

    async def check() -> None:
        view = await world.view()
        assert (view.balances[world.card].balance, view.balances[world.euro].balance) == rest
        assert world.bank not in view.balances
        assert {cell.account_id for cell in view.cells} == {world.card}
        (left,) = (await world.page(account_ids=[world.card])).items
        assert left.other is None  # type: ignore[union-attr]
        assert len(await world.listed()) == 1

    await check()
    with pytest.raises(AccountNotFound):
        await world.create()
    for call in (service(world).get, service(world).balance):
        with pytest.raises(AccountNotFound):
            await call(world.owner, world.bank)

    class Dies:
        async def erase(self, *_: Any) -> None:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await erasure(world, world.worker.store, Dies()).erase_some()
    await check()
    while await erasure(world).erase_some():
        pass
    await check()
    accounts = world.database.collection(ACCOUNTS)
    assert await accounts.find_one({"_id": ObjectId(world.bank)}) is None
    rows = world.database.collection(TRANSACTIONS)
    assert await rows.count_documents({"accountId": ObjectId(world.bank)}) == 0
    assert leg.transaction.account_id == world.bank
    assert await world.recounted() == []


async def test_a_moved_opening_date_decides_what_counts(world: World) -> None:
    await world.create("100.00", day=date(2026, 11, 3))
    await world.create("30.00", day=date(2026, 11, 5))
    changed = await service(world).update(
        world.owner, world.bank, {"openingDate": date(2026, 11, 4)}, Given("500")
    )
    assert changed.counts_otherwise
    assert changed.account.sums.balance == 47_000
    assert changed.account.sums.count == 2
    same = await service(world).update(world.owner, world.bank, {"openingDate": date(2026, 11, 5)})
    assert not same.counts_otherwise
    back = await service(world).update(world.owner, world.bank, {"openingDate": None})
    assert (back.counts_otherwise, back.account.sums.balance) == (True, 37_000)
    found = await service(world).get(world.owner, world.bank)
    assert found == back.account
    assert found.last_transaction_date == "2026-11-05"
    on_day = await service(world).balance(world.owner, world.bank, date(2026, 11, 4))
    assert (on_day.balance.units, on_day.date) == (40_000, "2026-11-04")
    assert await world.recounted() == []


async def test_a_deleted_user_leaves_nothing_that_opens_and_then_nothing(world: World) -> None:
    await world.create(category_id=world.food)
    await world.delete((await world.create()).transaction.id)
    erasures = ErasureStore(world.database)
    dependents = MoneyDependents(world.worker.book, erasures)
    user: Any = await People().lock_id(world.owner.id, None)  # type: ignore[arg-type]
    for _ in range(2):  # a user who is deleted again has nothing more
        await world.database.transact(lambda session: dependents.delete(user, session))
    assert await world.database.collection("data_keys").find_one({"user": world.owner.id}) is None
    owned: list[Owned] = [
        world.worker.book, CategoryStore(world.database), AccountStore(world.database),
        world.worker.store, world.worker.log,
    ]  # fmt: skip
    while await UserErasure(erasures, owned).erase_some():
        pass
    query = {"owner": ObjectId(world.owner.id)}
    for name in (ACCOUNTS, "categories", TRANSACTIONS):
        assert await world.database.collection(name).count_documents(query) == 0
    rollups = world.database.collection(ROLLUPS)
    assert await rollups.count_documents({"_id": {"$regex": f"^{world.owner.id}/"}}) == 0
    assert await erasures.next() is None


class Fails:
    """Data of whoever comes first, which cannot be erased."""

    def __init__(self) -> None:
        self.whose: tuple[str, ...] = ()
        self.erased: list[tuple[str, ...]] = []

    async def erase(self, *whose: str) -> None:
        self.whose = self.whose or whose
        if whose == self.whose:
            raise ConnectionError
        self.erased.append(whose)


async def test_one_whose_erasure_fails_keeps_no_other_waiting(world: World) -> None:
    erasures = ErasureStore(world.database)
    for _ in range(3):
        user = str(ObjectId())
        await world.database.transact(lambda session, user=user: erasures.add(user, session))  # type: ignore[misc]
    for account in (world.bank, world.card, world.euro):
        await world.create("1.00", account_id=account)
        await service(world).delete(world.owner, account, True)
    for with_rows in (partial(UserErasure, erasures), lambda rows: erasure(world, *rows)):
        rows = Fails()
        failing: Any = with_rows([rows])
        with pytest.raises(ConnectionError):
            await failing.erase_some()
        while len(rows.erased) < 2:
            assert await failing.erase_some()
        assert len(set(rows.erased)) == 2
        mended: Any = with_rows([])
        while await mended.erase_some():
            pass


async def test_a_restored_user_begins_once_the_former_money_is_erased(world: World) -> None:
    erasures, book = ErasureStore(world.database), world.worker.book
    dependents = MoneyDependents(book, erasures)
    user: Any = await People().lock_id(world.owner.id, None)  # type: ignore[arg-type]
    await world.database.transact(lambda session: dependents.delete(user, session))
    with pytest.raises(Unavailable):
        await world.worker.money.start(world.owner)
    while await UserErasure(erasures, [book, world.worker.store]).erase_some():
        pass
    await world.worker.money.start(world.owner)
    assert await book.exists(world.owner.id)
