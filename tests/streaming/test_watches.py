"""Watches of a collection of no domain: each change once, in order, from now on or from a token on."""

from __future__ import annotations

import asyncio
import random

import pytest

from server.core.errors import InvalidRequest, ResumeTokenExpired, Unavailable
from server.streaming import hub as hub_module
from server.streaming import tokens
from server.streaming import watches as watches_module
from server.streaming.watches import Watches
from tests.streaming.notes import NoOwner, NoteChange, Notes, changes, numbers


async def test_changes_come_as_the_domain_shows_them(notes: Notes) -> None:
    async with notes.watching() as (stream, _):
        await notes.write("ann", 1, -5, 2)
        await notes.collection.update_one({"number": 1}, {"$set": {"draft": True}})
        await notes.collection.update_one({"number": 2}, {"$set": {"number": 3}})
        await notes.collection.delete_one({"number": 3})
        assert [change for _, change in await changes(stream, 4)] == [
            NoteChange("written", "ann", 1),
            NoteChange("written", "ann", 2),
            NoteChange("written", "ann", 3),
            NoteChange("removed", "ann", 3),
        ]
    assert notes.seen == ["ann"] * 4, "each owner before anybody hears of the change"


async def test_a_watch_of_one_owner(notes: Notes) -> None:
    async with notes.watching("ann") as (stream, token):
        await notes.write("bob", 1)
        await notes.write("ann", 2)
        await notes.write("bob", 3)
        await notes.write("ann", 4)
        live = await changes(stream, 2)
        assert [change.number for _, change in live] == [2, 4]
        async with notes.watching("ann", token) as (again, ready):
            assert ready == token
            assert await changes(again, 2) == live
        async with notes.watching("bob", live[0][0]) as (other, _):
            assert await numbers(other, 1) == [3], "a token is good for any owner"


@pytest.mark.parametrize("seed", range(3))
async def test_each_change_once_and_in_order_wherever_a_watch_is_resumed(
    notes: Notes, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Rounds are cut short, watches break off anywhere, and writers do not wait for either."""
    monkeypatch.setattr(watches_module, "ROUND_CHANGES", 3)
    chance = random.Random(seed)  # noqa: S311 - the same each time
    total = 60

    async def write() -> None:
        for number in range(total):
            await notes.write(chance.choice(("ann", "bob")), number)

    async with notes.watching() as (live, start):
        token = start
        writing = asyncio.create_task(write())
        seen: list[int] = []
        while len(seen) < total:
            async with notes.watching(token=token) as (stream, _):
                some = await changes(stream, min(chance.randint(1, 9), total - len(seen)))
            seen += [change.number for _, change in some]
            token = some[-1][0]
        await writing
        assert seen == await numbers(live, total) == list(range(total))


async def test_a_heartbeat_moves_the_token_past_what_is_not_shown(
    notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches_module, "HEARTBEAT_SECONDS", 0.01)
    async with notes.watching("ann") as (stream, start):
        await notes.write("bob", 1)
        async with asyncio.timeout(30):
            beat = await anext(stream)
            while tokens.decode(beat.resume_token) <= tokens.decode(start):
                beat = await anext(stream)
    assert (beat.kind, beat.change) == ("heartbeat", None)
    async with notes.watching(None, beat.resume_token) as (stream, _):
        await notes.write("bob", 2)
        assert await numbers(stream, 1) == [2]


async def test_one_that_reads_too_slowly_goes_on_from_its_last_token(
    notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "MAX_QUEUED", 3)
    async with notes.watching() as (slow, token), notes.watching() as (quick, _):
        reading = asyncio.create_task(numbers(quick, 10))
        await notes.write("ann", *range(10))
        assert await reading == list(range(10))
        with pytest.raises(Unavailable, match="too slowly"):
            await numbers(slow, 10)
    async with notes.watching(token=token) as (again, _):
        assert await numbers(again, 10) == list(range(10))


async def test_what_is_refused(notes: Notes) -> None:
    with pytest.raises(NoOwner):
        await anext(notes.watches.watch("nobody", None))
    with pytest.raises(InvalidRequest):
        await anext(notes.watches.watch(None, "no token"))
    async with notes.watching() as (stream, _):
        await notes.write("ann", 1)
        ((token, _),) = await changes(stream, 1)
    position = tokens.decode(token)
    old = tokens.encode("82" + f"{1_577_836_800:08X}" + position[10:])  # the year 2020
    with pytest.raises(ResumeTokenExpired):
        await anext(notes.watches.watch(None, old))


async def test_limits_and_the_end(notes: Notes) -> None:
    watches = Watches(notes.source, notes.admit, limit=1)
    stream = watches.watch(None, None)
    await anext(stream)
    with pytest.raises(Unavailable, match="too many"):
        await anext(watches.watch(None, None))
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    await watches.hub.close()
    with pytest.raises(Unavailable, match="stopping"):
        await waiting
    with pytest.raises(Unavailable, match="stopping"):
        await anext(watches.watch(None, None))
