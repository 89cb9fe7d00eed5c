"""What follows from each outcome of a try, and from a worker's death."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from server.delivery.errors import NotSent, Refused
from server.storage.driver import ClientSession
from tests.delivery.world import CODE, TO, Scripted, World

DOWN = NotSent("SMTP_421")
LEFT = {"_id", "channel", "kind", "user", "decoy", "state", "tries", "fence"}
TIMES = {"createdAt", "notAfter", "endedAt", "keptUntil"}


def counted(outcome: str, channel: str = "mail") -> float:
    labels = {"channel": channel, "outcome": outcome}
    return REGISTRY.get_sample_value("finlink_deliveries_total", labels) or 0


async def test_a_sent_message_is_erased_and_kept_for_a_day(world: World) -> None:
    reference, way, before = await world.add(), Scripted(), counted("sent")
    assert await world.work(way) == 1
    (sent,) = way.taken
    assert (sent.to, sent.text, sent.reference) == (TO["mail"], f"Your code: {CODE}", reference)
    document = await world.document(reference)
    assert document.keys() == LEFT | TIMES
    assert (document["state"], document["tries"]) == ("sent", 1)
    assert document["keptUntil"] - document["endedAt"] == timedelta(days=1)
    assert counted("sent") == before + 1
    world.clock.turn(hours=2)
    assert await world.work(way) == 0, "it is never due again"


async def test_tries_are_2_10_30_and_60_seconds_apart(world: World) -> None:
    message = world.message(not_after=world.clock.now() + timedelta(hours=1))
    reference, before = await world.add(message), counted("retried")
    way = Scripted([DOWN] * 6)
    assert await world.work(way) == 1
    for tries, seconds in enumerate((2, 10, 30, 60, 60), 2):
        world.clock.turn(seconds=seconds - 1.5)
        assert await world.work(way) == 0, "too soon"
        world.clock.turn(seconds=1.5)
        assert await world.work(way) == 1
        document = await world.document(reference)
        assert (document["tries"], document["code"]) == (tries, "SMTP_421")
    world.clock.turn(seconds=60)
    assert await world.work(way) == 1
    assert [each.reference for each in way.taken] == [reference]
    assert (await world.document(reference))["state"] == "sent"
    assert counted("retried") == before + 6


async def test_a_try_is_put_off_for_as_long_as_the_other_end_asks(world: World) -> None:
    await world.add()
    way = Scripted([NotSent("HTTP_429", timedelta(seconds=45))])
    await world.work(way)
    world.clock.turn(seconds=44)
    assert await world.work(way) == 0
    world.clock.turn(seconds=1.5)
    assert await world.work(way) == 1


async def test_no_try_comes_after_the_end(world: World) -> None:
    reference = await world.add()  # five minutes
    way, before = Scripted([DOWN] * 100), counted("expired")
    tries = 0
    for _ in range(400):
        tries += await world.work(way)
        world.clock.turn(seconds=1)
    document = await world.document(reference)
    # 0, 2, 12, 42, 102, 162, 222, 282; the next would be at 342.
    assert (tries, document["tries"], document["state"]) == (8, 8, "expired")
    assert document["endedAt"] < document["notAfter"]
    assert document["code"] == "SMTP_421"
    assert "sealed" not in document
    assert counted("expired") == before + 1


async def test_a_message_that_nobody_took_in_time_is_not_sent(world: World) -> None:
    reference, way = await world.add(), Scripted()
    world.clock.turn(minutes=5)
    assert await world.work(way) == 1
    assert way.taken == []
    document = await world.document(reference)
    assert document["state"] == "expired"
    assert "sealed" not in document


async def test_a_refusal_is_final(world: World) -> None:
    reference, way, before = await world.add(), Scripted([Refused("SMTP_550")]), counted("refused")
    await world.work(way)
    document = await world.document(reference)
    assert (document["state"], document["code"]) == ("refused", "SMTP_550")
    assert "sealed" not in document
    assert counted("refused") == before + 1
    world.clock.turn(minutes=2)
    assert await world.work(way) == 0


async def test_a_decoy_is_never_sent(world: World) -> None:
    reference, way = await world.add(decoy=True), Scripted()
    assert await world.work(way) == 1
    assert way.taken == []
    document = await world.document(reference)
    assert document["state"] == "decoy"
    assert "sealed" not in document


async def test_a_message_that_does_not_open_is_not_tried_again(world: World) -> None:
    one, other = await world.add(), await world.add()
    sealed = (await world.document(other))["sealed"]
    await world.collection.update_one({"_id": one}, {"$set": {"sealed": sealed}})
    way = Scripted()
    await world.work(way)
    document = await world.document(one)
    assert (document["state"], document["code"]) == ("refused", "UNREADABLE")
    assert [each.reference for each in way.taken] == [other]


async def test_a_fault_of_ours_is_tried_again(world: World) -> None:
    reference, way = await world.add(), Scripted([LookupError("ann@example.com")])
    await world.work(way)
    document = await world.document(reference)
    assert (document["state"], document["code"]) == ("waiting", "INTERNAL")
    world.clock.turn(seconds=2)
    await world.work(way)
    assert len(way.taken) == 1


async def test_a_way_that_hangs_ends_as_a_failed_try(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.delivery.worker.SEND_SECONDS", 0.05)

    async def hang() -> None:
        await asyncio.Event().wait()

    reference = await world.add()
    await world.work(Scripted(after=hang))
    document = await world.document(reference)
    assert (document["state"], document["code"]) == ("waiting", "TIMEOUT")


async def test_two_workers_send_one_message_once(world: World) -> None:
    references = [await world.add() for _ in range(20)]
    way = Scripted()
    tries = await asyncio.gather(*(world.work(way) for _ in range(4)))
    assert sum(tries) == 20
    assert sorted(each.reference for each in way.taken) == sorted(references)


async def test_channels_do_not_take_each_others_messages(world: World) -> None:
    mail, sms = await world.add(), await world.add(world.message("sms"))
    by_mail, by_sms = Scripted(), Scripted()
    await world.work(by_sms, "sms")
    await world.work(by_mail)
    assert [each.reference for each in by_mail.taken] == [mail]
    assert [each.reference for each in by_sms.taken] == [sms]


async def test_a_worker_that_dies_after_sending_loses_nothing(world: World) -> None:
    """It may be sent twice, as the same message."""
    reference, way = await world.add(), Scripted()
    reached = asyncio.Event()

    async def die() -> None:
        reached.set()
        await asyncio.Event().wait()  # between the other end's reply and its mark

    way.after = die
    job = await world.claimed()
    running = asyncio.create_task(world.worker(way).run(job))
    await reached.wait()
    assert await world.claim() is None, "it is under a lease"
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    way.after = None
    assert await world.work(way) == 1
    assert [each.reference for each in way.taken] == [reference, reference]
    assert way.taken[0] == way.taken[1], "time and text are the same at both tries"
    assert (await world.document(reference))["state"] == "sent"


async def test_a_worker_that_vanishes_is_replaced_when_its_lease_ends(world: World) -> None:
    reference, way = await world.add(), Scripted()
    lost = await world.claimed()  # and nothing more is heard of it
    world.clock.turn(minutes=1)
    assert await world.work(way) == 0, "the lease goes by MongoDB's clock"
    await world.lapse(reference)
    assert await world.work(way) == 1
    assert (await world.document(reference))["tries"] == 2
    # It wakes up: it may send again, but nothing is written.
    before = await world.document(reference)
    await world.worker(way).run(lost)
    assert await world.document(reference) == before


async def test_a_message_whose_user_is_deleted_meanwhile(world: World) -> None:
    await world.add()
    way = Scripted()

    async def deleted() -> None:
        async def work(session: ClientSession) -> None:
            await world.outbox.remove_of("user-1", session)

        await world.database.transact(work)

    way.after = deleted
    assert await world.work(way) == 1
    assert await world.collection.find_one({}) is None
