"""What may be done to an audit trail by somebody who has MongoDB, but not the key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bson import ObjectId
from pymongo import UpdateOne

from server.core.clock import utc_now
from server.core.events import Event
from server.storage.audit import AUDIT_EVENTS, AUDIT_HEAD, AuditTrail, Codes, Head
from server.storage.driver import Collection, Database


async def reported(trail: AuditTrail, count: int) -> None:
    for number in range(count):
        await trail.add(Event("user.updated", user_id=f"u{number}", fields=["email"]))


async def sealed(trail: AuditTrail, count: int) -> Head:
    await reported(trail, count)
    while await trail.seal_some():
        pass
    return await trail.head()


@dataclass(frozen=True)
class Scene:
    """A trail of `count` sealed events; `rewrite` makes as many again, with the codes given."""

    database: Database
    trail: AuditTrail
    count: int
    rewrite: Callable[[AuditTrail, int], Awaitable[Any]] = sealed

    @property
    def events(self) -> Collection:
        return self.database.collection(AUDIT_EVENTS)

    @property
    def heads(self) -> Collection:
        return self.database.collection(AUDIT_HEAD)

    @property
    def place(self) -> int:
        """The number of the event that is harmed."""
        return self.count * 2 // 5

    @property
    def cut(self) -> int:
        """The last that stays when the tail is cut."""
        return self.count * 4 // 5

    async def event(self, number: int) -> dict[str, Any]:
        found = await self.events.find_one({"sequence": number})
        assert found is not None
        return found


async def alter(at: Scene) -> None:
    await at.events.update_one({"sequence": at.place}, {"$set": {"userId": "somebody_else"}})


async def remove(at: Scene) -> None:
    await at.events.delete_one({"sequence": at.place})


async def remove_and_renumber(at: Scene) -> None:
    await remove(at)
    await at.events.bulk_write(
        [
            UpdateOne({"sequence": number}, {"$set": {"sequence": number - 1}})
            for number in range(at.place + 1, at.count + 1)
        ]
    )


async def swap(at: Scene) -> None:
    spare = at.count * 10
    for old, new in ((at.place, spare), (at.place + 1, at.place), (spare, at.place + 1)):
        await at.events.update_one({"sequence": old}, {"$set": {"sequence": new}})


async def put_in(at: Scene) -> None:
    copy = await at.event(at.place)
    await at.events.insert_one({**copy, "_id": ObjectId(), "sequence": at.count + 1})


async def put_in_unsealed(at: Scene) -> None:
    await at.events.insert_one(_made_up(mac="0" * 64))


async def put_in_before_the_first(at: Scene) -> None:
    copy = await at.event(at.place)
    await at.events.insert_one({**copy, "_id": ObjectId(), "sequence": 0})


async def put_in_without_a_number(at: Scene) -> None:
    await at.events.insert_one(_made_up(mac="0" * 64, sequence="none"))


async def put_in_with_a_strange_number(at: Scene) -> None:
    await at.events.insert_one(_made_up(mac="0" * 64, sequence=[at.count * 10]))


async def put_in_with_a_strange_code(at: Scene) -> None:
    await at.events.insert_one(_made_up(mac="é"))


async def put_in_to_be_sealed(at: Scene) -> None:
    """It is sealed like any other, and does not keep others from being sealed."""
    await at.events.insert_one({"action": "connector.connected", "unsealed": True})
    await reported(at.trail, 1)
    while await at.trail.seal_some():
        pass
    assert (await at.trail.head()).sequence == at.count + 2


async def cut_the_tail(at: Scene) -> None:
    await at.events.delete_many({"sequence": {"$gt": at.cut}})


async def cut_the_tail_and_move_the_head(at: Scene) -> None:
    await cut_the_tail(at)
    last = await at.event(at.cut)
    await at.heads.update_one({}, {"$set": {"sequence": at.cut, "link": last["link"]}})


async def remove_the_head(at: Scene) -> None:
    await at.heads.delete_many({})


async def break_the_head(at: Scene) -> None:
    await at.heads.replace_one({}, {"sequence": "none"})


async def rewrite_all(at: Scene) -> None:
    """With a key that is not the one."""
    await at.events.delete_many({})
    await at.heads.delete_many({})
    await at.rewrite(AuditTrail(at.database, Codes(bytes(32))), at.count)


def _made_up(**fields: object) -> dict[str, Any]:
    return {"at": utc_now(), "action": "user.created", "actor": {}, **fields}


# What a verification says of each; `{place}` and the like are the scene's.
Harm: TypeAlias = Callable[[Scene], Awaitable[None]]
HARMS: Mapping[Harm, str] = {
    alter: "event {place} was altered or made up",
    remove: "event {place} is missing",
    remove_and_renumber: "event {place} is not the one that was sealed there",
    swap: "event {place} is not the one that was sealed there",
    put_in: "event {after} is not the one that was sealed there",
    put_in_unsealed: "not yet sealed, was altered or made up",
    put_in_before_the_first: "not yet sealed, was altered or made up",
    put_in_without_a_number: "not yet sealed, was altered or made up",
    put_in_with_a_strange_number: "was altered or made up",
    put_in_with_a_strange_code: "not yet sealed, was altered or made up",
    put_in_to_be_sealed: "event {after} was altered or made up",
    cut_the_tail: "events {first_cut} to {count} are missing",
    cut_the_tail_and_move_the_head: "the head was altered",
    remove_the_head: "the head is missing",
    break_the_head: "the head was altered",
    rewrite_all: "event 1 was altered or made up",
}


def finding(harm: Harm, at: Scene) -> str:
    return HARMS[harm].format(
        place=at.place, after=at.count + 1, first_cut=at.cut + 1, count=at.count
    )
