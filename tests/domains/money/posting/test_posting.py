"""Rows of connectors become transactions, once each, whatever happens."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from server.domains.money.transactions.model import Origin
from server.jobs.queue import LeaseLost
from tests.domains.money.posting.world import DAY, PostingWorld, Worker, holding, row


async def test_rows_become_transactions_of_an_account_that_is_made_for_them(
    world: PostingWorld,
) -> None:
    await world.sync([row("a", "450.00", "debit"), row("b", "1000.50", "credit")])
    account = await world.account()
    assert (account.name, account.type, account.currency) == ("Nila Bank", "bank", "INR")
    assert (account.source, account.provider) == ("connector", "fi_money")
    assert account.connector_id == world.connector.id
    assert account.on_budget
    found = {each.bank_text: each for each in await world.all()}
    assert [found["a"].kind, found["b"].kind] == ["expense", "income"]
    assert [found["a"].signed, found["b"].signed] == [-45_000, 100_050]
    assert {each.account_id for each in found.values()} == {account.id}
    assert {each.category_id for each in found.values()} == {None}
    assert {each.origins for each in found.values()} == {(Origin("connector", world.connector.id),)}
    assert account.balance.units == 55_050
    assert await world.recounted() == []


async def test_a_row_is_posted_once_over_syncs_and_marks(world: PostingWorld) -> None:
    rows = [row(str(number), f"{number + 1}.00") for number in range(30)]
    await world.sync(rows)
    await world.sync([*rows, row("new", "99.00")])
    await world.sync([*rows, row("new", "99.00")])
    await world.post_again()
    assert len(await world.all()) == await world.origins() == 31
    assert await world.recounted() == []


async def test_more_rows_than_a_transaction_takes(world: PostingWorld) -> None:
    rows = [
        row(str(number), "1.00", day=date(2026, 1, 1) + timedelta(days=number // 3))
        for number in range(450)
    ]
    await world.sync(rows)
    assert await world.signed() == [-100] * 450
    assert await world.origins() == 450
    assert (await world.account()).balance.units == -45_000
    assert await world.recounted() == []


async def test_equal_rows_are_all_there(world: PostingWorld) -> None:
    await world.sync([row("one", text="same"), row("two", text="same")])
    assert await world.signed() == [-45_000, -45_000]


async def test_disconnecting_keeps_all_and_connecting_again_goes_on(world: PostingWorld) -> None:
    await world.sync([row("a"), row("b")])
    before, account = await world.all(), await world.account()
    await world.disconnect()
    assert await world.all() == before
    await world.connect_again()
    await world.sync([row("a"), row("b"), row("c")])
    assert len(await world.all()) == 3
    assert (await world.account()).id == account.id
    assert len(await world.accounts()) == 1


async def test_erased_records_take_their_transactions_along_but_not_those_that_were_typed(
    world: PostingWorld,
) -> None:
    purse = await world.make_account()
    await world.sync([row("a"), row("b", "7.00"), row("c", "8.00")])
    account = await world.account()
    typed = await world.type(account.id, "450.00", day=DAY + timedelta(days=40))
    await world.sync([row("a"), row("b", "7.00"), row("c", "8.00"), row("d", day=typed.day)])
    b = next(each for each in await world.all() if each.bank_text == "b")
    await world.update(b.id, account_id=purse.id)
    c = next(each for each in await world.all() if each.bank_text == "c")
    await world.delete(c.id)
    await world.disconnect(delete_records=True)
    (left,) = await world.all()
    assert (left.id, left.origins, left.bank_text) == (typed.id, (Origin("manual"),), None)
    assert await world.recounted() == []
    await world.connect_again()
    await world.sync([row("a"), row("b", "7.00"), row("c", "8.00"), row("d", day=typed.day)])
    found = await world.all()
    assert sorted(each.bank_text or "" for each in found) == ["a", "b", "d"], "c was deleted"
    assert next(each for each in found if each.bank_text == "d").id == typed.id
    assert (await world.account()).id == account.id
    await world.post_again()
    assert len(await world.all()) == 3
    assert await world.recounted() == []


async def test_a_deleted_row_stays_deleted_until_it_is_forgotten(world: PostingWorld) -> None:
    await world.sync([row("a"), row("b")])
    (one,) = [each for each in await world.all() if each.bank_text == "a"]
    await world.delete(one.id)
    for number in range(3):
        await world.sync([row("a"), row("b"), row(f"new {number}")])
    await world.disconnect()
    await world.connect_again()
    await world.sync([row("a"), row("b")])
    await world.post_again()
    texts = [each.bank_text for each in await world.all()]
    assert "a" not in texts
    assert len(texts) == 4
    (other,) = [each for each in await world.all() if each.bank_text == "b"]
    await world.delete(other.id, forget=True)
    await world.worker.post()
    again = [each.bank_text for each in await world.all()]
    assert sorted(filter(None, again)) == sorted(filter(None, texts)), "b is back, once"
    for _ in range(2):
        await world.delete(one.id, forget=True)
        await world.worker.post()
    again = [each.bank_text for each in await world.all()]
    assert (again.count("a"), len(again)) == (1, 5), "a, deleted long before, is back, once"
    assert await world.recounted() == []


async def test_a_row_that_moved_to_another_account_is_not_posted_again(
    world: PostingWorld,
) -> None:
    purse = await world.make_account()
    await world.sync([row("a")])
    (one,) = await world.all()
    await world.update(one.id, account_id=purse.id, description="mine")
    await world.post_again()
    (same,) = await world.all()
    assert (same.id, same.account_id, same.description) == (one.id, purse.id, "mine")


async def test_rows_in_another_currency_are_a_stream_of_their_own(world: PostingWorld) -> None:
    await world.sync([row("a"), row("b", "3.50", currency="EUR"), row("c")])
    await world.sync([row("d", "4.50", currency="EUR")])
    accounts = await world.accounts()
    assert {each: accounts[each].balance.units for each in accounts} == {
        "bank:Nila Bank": -90_000,
        "bank:Nila Bank/EUR": -800,
    }
    assert accounts["bank:Nila Bank/EUR"].currency == "EUR"
    assert accounts["bank:Nila Bank/EUR"].name == "Nila Bank bank"


async def test_rows_without_an_amount_are_no_transactions(world: PostingWorld) -> None:
    await world.sync([row("zero", "0.00"), row("parts", "1.001"), row("a")])
    assert [each.bank_text for each in await world.all()] == ["a"]


async def test_a_thawed_poster_and_a_second_one_add_nothing(world: PostingWorld) -> None:
    world.items["transactions"] = [row("a"), row("b")]
    await world.connectors.sync(world.connector.id)
    first, second = world.worker, Worker(world.connectors)
    frozen = await first.feed.claim(abandoned=True)
    assert frozen is not None
    await world.database.collection("record_postings").update_one(
        {"_id": frozen.id}, {"$set": {"dueAt": DAY_LONG_AGO}}
    )
    assert await second.post() == 1
    await first.poster.post(frozen)
    assert len(await world.all()) == 2
    with pytest.raises(LeaseLost):
        await world.database.transact(lambda session: first.feed.finish(frozen, session))
    assert await world.recounted() == []


async def test_holdings_are_valued_by_house_and_day(world: PostingWorld) -> None:
    fund = holding("fund", "mutual_fund", "5000.00", "AMC")
    holdings = [
        holding("account", "account", "5000.00", "AMC"),
        holding("total", "asset_total", "99999.00", None),
        fund,
        holding("share", "equity", "100.25", "AMC"),
        holding("card", "liability", "250.00", debt="card"),
        holding("loan", "liability", "9000.00", debt="loan"),
        holding("epf", "epf", "70.00", "EPFO"),
        holding("fd", "deposit", "80.00"),
        holding("savings", "savings", "1000.00"),
    ]
    await world.sync([], holdings)
    found = {name: each.balance.units for name, each in (await world.accounts()).items()}
    assert found == {
        "card:Nila Bank": -25_000,
        "deposit:Nila Bank": 8_000,
        "investment:AMC": 510_025,
        "loan:Nila Bank": -900_000,
        "retirement:EPFO": 7_000,
    }
    assert (await world.balance("investment:AMC")).balance.units == 510_025
    yesterday = date.today() - timedelta(days=1)  # noqa: DTZ011 - any day before the first value
    assert (await world.balance("investment:AMC", yesterday)).balance.units == 510_025
    await world.sync([], [fund])
    found = {name: each.balance.units for name, each in (await world.accounts()).items()}
    assert found["investment:AMC"] == 500_000
    assert found["card:Nila Bank"] == 0
    assert await world.recounted() == []


async def test_what_changes_nothing_is_not_written(world: PostingWorld) -> None:
    rows = [row("a"), row("zero", "0.00"), row("b", "7.00", bank="Other")]
    holdings = [holding("s", "savings", "550.00"), holding("fund", "mutual_fund", "10.00", "AMC")]
    await world.sync(rows, holdings)
    other = await world.account("bank:Other")
    await world.worker.streams.detach(world.owner, other.id)
    before = await world.stored()
    await world.sync(rows)
    await world.sync([*rows, row("zero too", "0.00"), row("c", "8.00", bank="Other")])
    await world.post_again()
    assert await world.stored() == before
    await world.sync([*rows, row("new", "1.00")])
    assert (await world.stored())["money_ledgers"][0]["rev"] == (
        before["money_ledgers"][0]["rev"] + 1
    )


async def test_a_connector_that_fails_has_waited_since_the_first_time(world: PostingWorld) -> None:
    await world.sync([row("a")])
    streams = world.database.collection("account_streams")
    kept = await streams.find_one({})
    assert kept is not None
    await streams.update_one({}, {"$set": {"sealed": b"spoilt"}})
    await world.sync([row("a"), row("b")])
    since = await world.worker.feed.due_since()
    assert since is not None
    await world.due_now()
    assert await world.worker.post() == 1
    assert await world.worker.feed.due_since() == since
    await world.worker.poster.report_lag()
    assert (REGISTRY.get_sample_value("finlink_posting_lag_seconds") or 0) > 0
    await streams.replace_one({"_id": kept["_id"]}, kept)
    await world.due_now()
    assert await world.worker.post() == 1
    assert await world.worker.feed.due_since() is None
    assert len(await world.all()) == 2


async def test_health_and_metrics_say_how_long_records_wait(world: PostingWorld) -> None:
    poster, postings = world.worker.poster, world.database.collection("record_postings")
    assert (await poster.health()).status == "ok"
    found = {}
    for minutes in (0, 5, 11):
        since = datetime.now(UTC) - timedelta(minutes=minutes)
        await postings.update_one({"_id": "any"}, {"$set": {"dueAt": since}}, upsert=True)
        await poster.report_lag()
        lag = REGISTRY.get_sample_value("finlink_posting_lag_seconds") or 0.0
        assert minutes * 60 <= lag < minutes * 60 + 50
        found[minutes] = (await poster.health()).status
    assert found == {0: "ok", 5: "degraded", 11: "failing"}


async def test_what_is_left_of_a_deleted_user_is_erased(world: PostingWorld) -> None:
    await world.make_account()
    category = await world.category()
    await world.sync([row("a", text="UPI-SHOP")], [holding("fd", "deposit", "80.00")])
    (one,) = await world.all()
    await world.update(one.id, category_id=category)
    assert await world.count("payees") == 1
    await world.erase_user()
    for name in ("transaction_origins", "account_streams", "payees", "transactions", "accounts"):
        assert await world.count(name) == 0, name
    assert await world.database.collection("account_values").count_documents({}) == 0
    assert await world.database.collection("record_postings").count_documents({}) == 0


DAY_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
