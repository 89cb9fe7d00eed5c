"""Reads from the cache beside writes: once a write is answered, no worker of the host tells the old state.

What another host or tool writes is seen within the lease of the feed; without MongoDB nothing is given.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc
import httpx
import pytest
from finlink.connectors.v1 import connector_reads_pb2
from finlink.connectors.v1.connector_service_pb2_grpc import ConnectorServiceStub
from finlink.users.v1 import user_service_pb2 as users_rpc
from finlink.users.v1.user_service_pb2_grpc import UserServiceStub

from server.storage.cache_feed import LEASE_SECONDS
from tests.chaos.figures import Figures
from tests.chaos.ground import Ground, ground
from tests.chaos.processes import process
from tests.e2e import connector_steps as step
from tests.faults.load import under, until

READERS = 4  # of each worker, beside those who have just written
TIMEOUT = 60


@dataclass
class Person:
    """A user with a connector, and what was acknowledged of them: numbers that only grow."""

    user_id: str
    connector_id: str
    written: int = 0
    interval: int = 5
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class Reads:
    """Every answer about a person is compared with what was acknowledged before it was asked for."""

    workers: Sequence[grpc.aio.Channel]
    people: Sequence[Person]
    count: int = 0
    stale: list[str] = field(default_factory=list)

    async def one(self, worker: grpc.aio.Channel, person: Person) -> None:
        written, interval = person.written, person.interval
        user = await UserServiceStub(worker).GetUser(
            users_rpc.GetUserRequest(user_id=person.user_id), timeout=TIMEOUT
        )
        self._compare(person, "GetUser", _number(user.data.metadata.source), written)
        of_user = await ConnectorServiceStub(worker).ListUserConnectors(
            connector_reads_pb2.ListUserConnectorsRequest(user_id=person.user_id), timeout=TIMEOUT
        )
        found = of_user.data.connectors[0].sync_interval
        self._compare(person, "ListUserConnectors", found, interval)
        one = await ConnectorServiceStub(worker).GetUserPlatformConnector(
            connector_reads_pb2.GetUserPlatformConnectorRequest(
                user_id=person.user_id, platform="fi_money"
            ),
            timeout=TIMEOUT,
        )
        found = one.data.connector.sync_interval
        self._compare(person, "GetUserPlatformConnector", found, interval)

    def _compare(self, person: Person, what: str, found: int, least: int) -> None:
        self.count += 1
        if found < least:
            self.stale.append(f"{what} of {person.user_id}: {found} after {least}")

    async def everywhere(self, person: Person) -> None:
        await asyncio.gather(*(self.one(worker, person) for worker in self.workers))


def _number(source: str) -> int:
    return int(source.rpartition("_")[2] or 0)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(tmp_path_factory.mktemp("cached"), SYNC_CONCURRENCY="2") as started:
        yield started


@asynccontextmanager
async def workers(at: Ground) -> AsyncIterator[list[grpc.aio.Channel]]:
    """Both workers of the ground, called past Envoy."""
    folder = at.stack.status()["sockets"]
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                grpc.aio.insecure_channel(f"unix:{folder}/worker-{number}.sock")
            )
            for number in range(2)
        ]


@asynccontextmanager
async def caller(at: Ground) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{at.stack.rest}/api/v1", timeout=TIMEOUT) as api:
        yield api


async def gathered(api: httpx.AsyncClient, count: int) -> list[Person]:
    return list(await asyncio.gather(*(_person(api) for _ in range(count))))


async def _person(api: httpx.AsyncClient) -> Person:
    user_id = f"cached_{step.new_login()}"
    await step.create_user(api, user_id)
    made = await step.connect(api, user_id, credentials=step.credentials_of(step.new_login()))
    return Person(user_id, made["id"])


@pytest.mark.full_only
async def test_an_acknowledged_write_is_seen_by_every_worker(at: Ground, figures: Figures) -> None:
    draw = random.Random(1)  # noqa: S311 - which one is all the same
    async with workers(at) as both, caller(at) as api:
        people = await gathered(api, 20)
        reads = Reads(both, people)
        writes = itertools.count(1)

        async def read(worker: grpc.aio.Channel) -> None:
            await reads.one(worker, draw.choice(people))

        async def write() -> None:
            person = draw.choice(people)
            async with person.writing:
                await _write(api, person, next(writes))
            await reads.everywhere(person)

        began = time.monotonic()
        readers = [lambda worker=worker: read(worker) for worker in both for _ in range(READERS)]
        async with under(*readers, write, write, write):
            await until(lambda: next(writes) > 1_500)
        figures.show("reads", reads.count)
        figures.show("reads a second", reads.count / (time.monotonic() - began))
        figures.show("stale", len(reads.stale))
        assert reads.stale == []
        assert all(person.written or person.interval > 5 for person in people)


async def _write(api: httpx.AsyncClient, person: Person, number: int) -> None:
    if number % 2:
        written = person.written + 1
        body: step.Json = {"source": f"n_{written}"}
        reply = await api.put(f"/users/{person.user_id}/metadata", json=body)
        assert reply.status_code == 200, reply.text
        person.written = written
    else:
        interval = person.interval + 1 if person.interval < 60 else 60
        path = f"/connectors/{person.connector_id}/sync-settings"
        reply = await api.put(path, json={"syncInterval": interval})
        assert reply.status_code == 200, reply.text
        person.interval = interval


async def test_a_user_who_was_deleted_is_gone_everywhere_at_once(at: Ground) -> None:
    async with workers(at) as both, caller(at) as api:
        for person in await gathered(api, 5):
            reads = Reads(both, [person])
            await reads.everywhere(person)
            await reads.everywhere(person)
            assert (await api.delete(f"/users/{person.user_id}")).status_code == 200
            for worker in both:
                for call in (
                    UserServiceStub(worker).GetUser(
                        users_rpc.GetUserRequest(user_id=person.user_id)
                    ),
                    ConnectorServiceStub(worker).ListUserConnectors(
                        connector_reads_pb2.ListUserConnectorsRequest(user_id=person.user_id)
                    ),
                ):
                    with pytest.raises(grpc.aio.AioRpcError) as refused:
                        await call
                    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.full_only
async def test_what_others_write_is_seen_within_the_lease(at: Ground, figures: Figures) -> None:
    """By a tool straight in MongoDB, and by a server with a table of its own, as on another host."""
    async with (
        workers(at) as both,
        caller(at) as api,
        step.database(at.stack) as documents,
        process(at) as (_, elsewhere),
    ):
        (person,) = await gathered(api, 1)
        everybody = [*both, elsewhere]
        waits: list[float] = []
        for number in range(1, 200):
            await Reads(everybody, [person]).everywhere(person)
            written = {"$set": {"metadata.source": f"n_{number}"}}
            await documents["users"].update_one({"userId": person.user_id}, written)
            began = time.monotonic()
            for worker in everybody:
                stub = UserServiceStub(worker)
                request = users_rpc.GetUserRequest(user_id=person.user_id)
                while _number((await stub.GetUser(request)).data.metadata.source) < number:
                    pass
            waits.append(time.monotonic() - began)
        waits.sort()
        figures.show("seconds until three servers saw it, p50", waits[len(waits) // 2])
        figures.show("p99", waits[len(waits) * 99 // 100])
        figures.show("the longest, of", f"{waits[-1]:.3f}, {LEASE_SECONDS}")


async def test_without_mongodb_nothing_is_given_from_the_cache(at: Ground) -> None:
    async with workers(at) as both, caller(at) as api:
        (person,) = await gathered(api, 1)
        reads = Reads(both, [person])
        await reads.everywhere(person)
        pid = at.stack.status()["pids"]["mongod"]
        os.kill(pid, signal.SIGSTOP)
        try:
            for worker in both:
                assert await _refused(worker, person) in {
                    grpc.StatusCode.UNAVAILABLE,
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                }
        finally:
            os.kill(pid, signal.SIGCONT)
        for worker in both:
            while await _code(worker, person) is not grpc.StatusCode.OK:
                pass


async def _refused(worker: grpc.aio.Channel, person: Person) -> grpc.StatusCode:
    """What a call is answered once it is no longer served."""
    while True:
        code = await _code(worker, person)
        if code is not grpc.StatusCode.OK:
            return code
        await asyncio.sleep(0.01)


async def _code(worker: grpc.aio.Channel, person: Person) -> grpc.StatusCode:
    call = UserServiceStub(worker).GetUser(users_rpc.GetUserRequest(user_id=person.user_id))
    return await call.code()
