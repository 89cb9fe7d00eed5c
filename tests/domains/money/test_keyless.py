"""Money whose data key is missing, as after a restore."""

from __future__ import annotations

from datetime import date

import pytest
from bson import ObjectId

from server.config import ConfigError
from server.domains.money.domain import DOMAIN
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.ledger.keyless import OWNED, SealedMoney
from server.domains.money.ledger.model import Entry
from server.domains.money.ledger.store import LEDGERS, ROLLUPS
from server.settings import load
from server.startup import check_data_keys
from server.storage.data_keys import DATA_KEYS
from server.storage.driver import ClientSession
from tests.domains.money.conftest import Ledgers

DAY = date(2026, 2, 3)


async def spend(ledgers: Ledgers, owner: str) -> None:
    """A change of a user's money, which makes ledger and key."""
    book = ledgers.book()

    async def work(session: ClientSession) -> None:
        change: LedgerChange = await book.open(owner, session)
        account = str(ObjectId())
        change.open_account(account, 0, None)
        change.post(None, Entry(account, DAY, "expense", "posted", False, -100, [(None, -100)]))
        await change.save()

    await ledgers.database.transact(work)


async def test_what_no_key_opens_is_found_and_erased(ledgers: Ledgers) -> None:
    owners = [str(ObjectId()) for _ in range(3)]
    for owner in owners:
        await spend(ledgers, owner)
        await ledgers.database.collection("transactions").insert_one({"owner": ObjectId(owner)})
        await ledgers.database.collection("accounts").insert_one({"owner": ObjectId(owner)})
        month = {"_id": f"{ObjectId()}/2026-02", "owner": ObjectId(owner)}
        await ledgers.database.collection("account_values").insert_one(month)
    rows = SealedMoney(ledgers.database)
    assert (await rows.count_keyless(), await rows.count_keyless(50)) == (0, 0)
    lost, other, _ = owners
    await ledgers.database.collection(DATA_KEYS).delete_one({"user": lost})
    assert (await rows.count_keyless(), await rows.count_keyless(50)) == (1, 1)
    with pytest.raises(ConfigError, match="newest copy"):
        await check_data_keys(ledgers.database)

    assert await rows.erase_keyless() == 1
    assert (await rows.count_keyless(), await rows.erase_keyless()) == (0, 0)
    await check_data_keys(ledgers.database)
    for owner, left in ((lost, 0), (other, 1)):
        months = {"_id": {"$regex": f"^{owner}/"}}
        assert await ledgers.database.collection(ROLLUPS).count_documents(months) == left
        transactions = ledgers.database.collection("transactions")
        assert await transactions.count_documents({"owner": ObjectId(owner)}) == left
        values = ledgers.database.collection("account_values")
        assert await values.count_documents({"owner": ObjectId(owner)}) == left
    ledger = await ledgers.database.collection(LEDGERS).find_one({"_id": ObjectId(lost)})
    assert ledger is not None
    assert "sealed" not in ledger
    await spend(ledgers, lost)
    after = await ledgers.database.collection(LEDGERS).find_one({"_id": ObjectId(lost)})
    assert after is not None
    assert after["rev"] > ledger["rev"]


def test_each_collection_of_owners_is_named() -> None:
    """A new one of money is erased with the others."""
    of_owners = {
        name
        for name, models in DOMAIN.indexes(load(_env_file=None)).items()
        if any("owner" in model.document["key"] for model in models)
    }
    assert of_owners <= set(OWNED)
