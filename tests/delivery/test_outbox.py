"""What is stored of a message, and when."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial

import pytest

from server.delivery.errors import DeliveryUnavailable
from server.delivery.message import CHANNELS
from server.delivery.outbox import Outbox
from server.storage.driver import ClientSession
from tests.delivery.world import CODE, TO, World

HIDDEN = (CODE, TO["mail"], TO["sms"], "Your code")


async def test_a_stored_message_shows_nobody_what_it_says(world: World) -> None:
    for channel in CHANNELS:
        reference = await world.add(world.message(channel))
        document = await world.document(reference)
        assert not [text for text in HIDDEN if text in str(document)]
        shown = {name: document[name] for name in ("channel", "kind", "user", "state", "tries")}
        assert shown == {
            "channel": channel, "kind": "sign_in_code", "user": "user-1", "state": "waiting", "tries": 0,
        }  # fmt: skip
        assert re.fullmatch(r"dlv_[0-9a-f]{32}", reference)


async def test_what_it_says_opens_under_its_own_reference_alone(world: World) -> None:
    one, other = await world.add(), await world.add()
    sealed = (await world.document(one))["sealed"]
    opened = world.sealer.open(sealed, one, world.clock.now())
    assert (opened.to, opened.text) == (TO["mail"], f"Your code: {CODE}")
    with pytest.raises(Exception, match="does not open"):
        world.sealer.open(sealed, other, world.clock.now())


async def test_a_change_that_is_undone_sends_nothing(world: World) -> None:
    async def work(session: ClientSession) -> None:
        await world.outbox.add(world.message(), session)
        raise LookupError

    with pytest.raises(LookupError):
        await world.database.transact(work)
    assert await world.collection.find_one({}) is None


async def test_a_decoy_is_stored_as_any_message_is(world: World) -> None:
    real = await world.document(await world.add(world.message(user=None)))
    decoy = await world.document(await world.add(world.message(user=None), decoy=True))
    assert list(decoy) == list(real)
    assert len(decoy["sealed"]) == len(real["sealed"])
    assert (real["decoy"], decoy["decoy"]) == (False, True)


async def test_messages_of_a_user_go_with_the_user_or_stay_with_them(world: World) -> None:
    mine = [await world.add(), await world.add(world.message("sms"))]
    other = await world.add(world.message(user="user-2"))

    async def deleting(session: ClientSession) -> None:
        await world.outbox.remove_of("user-1", session)

    async def refused(session: ClientSession) -> None:
        await deleting(session)
        raise LookupError

    with pytest.raises(LookupError):
        await world.database.transact(refused)
    assert await world.collection.count_documents({"_id": {"$in": mine}}) == 2
    await world.database.transact(deleting)
    assert [each["_id"] for each in await world.collection.find({}).to_list(None)] == [other]


async def test_without_a_way_to_send_nothing_is_taken(world: World) -> None:
    outbox = Outbox(world.store, world.sealer, ["mail"], world.clock.now, lambda: None)
    outbox.require("mail")
    with pytest.raises(DeliveryUnavailable) as caught:
        outbox.require("sms")
    assert caught.value.code == "DELIVERY_UNAVAILABLE"
    for add in (outbox.add, outbox.add_decoy):
        with pytest.raises(DeliveryUnavailable):
            await world.database.transact(partial(add, world.message("sms")))
    assert await world.collection.find_one({}) is None


async def test_workers_are_woken_when_a_caller_says_so(world: World) -> None:
    await world.add()
    assert world.woken == 0, "nothing is committed yet where it is added"
    world.outbox.wake()
    assert world.woken == 1


async def test_what_nobody_ever_sends_goes_in_the_end(world: World) -> None:
    message = world.message(not_after=world.clock.now() + timedelta(hours=1))
    document = await world.document(await world.add(message))
    assert document["keptUntil"] - document["notAfter"] == timedelta(days=1)
    indexes = await world.collection.index_information()
    assert indexes["keptUntil_1"]["expireAfterSeconds"] == 0
