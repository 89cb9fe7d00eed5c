"""What is wrong when an alert fires: each cause is there while inside, and over afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial
from typing import TypeAlias

import grpc
import httpx
import pytest
from bson import ObjectId
from finlink.users.v1.user_lists_pb2 import ListUsersRequest
from finlink.users.v1.user_service_pb2_grpc import UserServiceStub

from tests.e2e import connector_steps as step
from tests.faults.load import under, until
from tests.observability import messages
from tests.observability.monitored import Monitored
from tests.observability.signing_in import Users

Cause: TypeAlias = Callable[[Monitored], AbstractAsyncContextManager[None]]
HICCUP_SECONDS = 0.8
MORE_THAN_AT_A_TIME = 200  # mails, for three processes
_FIVE_MINUTES_AGO = {"$dateSubtract": {"startDate": "$$NOW", "unit": "minute", "amount": 5}}


@asynccontextmanager
async def mongodb_hiccups(site: Monitored) -> AsyncIterator[None]:
    """MongoDB stands still for a moment, again and again; its one connection makes the others wait."""
    async with site.channel(site.alone_address) as channel:
        users = UserServiceStub(channel)
        await asyncio.wait_for(channel.channel_ready(), 60)

        async def hiccup() -> None:
            with _frozen(site, "mongod"):
                calls = [
                    asyncio.ensure_future(users.ListUsers(ListUsersRequest())) for _ in range(10)
                ]
                await asyncio.sleep(HICCUP_SECONDS)  # the fault itself
            await asyncio.gather(*calls)

        async with under(hiccup):
            yield


@asynccontextmanager
async def mongodb_away(site: Monitored) -> AsyncIterator[None]:
    async with site.channel(site.worker_address()) as channel:
        users = UserServiceStub(channel)

        async def call() -> None:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await users.ListUsers(ListUsersRequest(), timeout=10)
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE

        with _frozen(site, "mongod"):
            async with under(call):
                yield
    await site.line("database does not respond")
    ready = f"{site.ground.stack.rest}/ready"
    await until(lambda: httpx.get(ready).status_code == 200)


@asynccontextmanager
async def platform_away(site: Monitored) -> AsyncIterator[None]:
    async with site.caller() as api:
        made = await connectors(api, 4)
        site.ground.sandbox.faults("fi_money", "*", {"kind": "unavailable"})
        async with under(*(partial(sync, api, connector_id) for connector_id in made)):
            yield
    site.ground.sandbox.clear_faults("fi_money", "*")


@asynccontextmanager
async def workers_behind(site: Monitored) -> AsyncIterator[None]:
    """Runs begin five minutes after their time, as though workers had been busy until now."""
    async with site.caller() as api, step.database(site.ground.stack) as documents:
        made = await connectors(api, 4, "zerodha")
        dues = ("sync.dueAt", "connectionDetails.nextSyncAt")

        async def run_late(connector_id: str) -> None:
            runs = (await step.synced(api, connector_id))["totalSyncs"]
            await documents["connectors"].update_one(
                {"_id": ObjectId(connector_id)},
                [{"$set": dict.fromkeys(dues, _FIVE_MINUTES_AGO)}],
            )
            await step.synced(api, connector_id, runs + 1)

        async with under(*(partial(run_late, connector_id) for connector_id in made)):
            yield


@asynccontextmanager
async def workers_hang(site: Monitored) -> AsyncIterator[None]:
    """All that sync; what was due before goes on waiting, and a server that does not sync tells of it."""
    async with site.caller() as api, step.database(site.ground.stack) as documents:
        made = await connector(api, "zerodha")
        workers = [name for name in site.ground.stack.status()["pids"] if "worker" in name]
        with ExitStack() as stack:
            for name in workers:
                stack.enter_context(_frozen(site, name))
            await documents["connectors"].update_one(
                {"_id": ObjectId(made)},
                [{"$set": {"sync.dueAt": _FIVE_MINUTES_AGO}}],
            )
            yield
    ready = f"{site.ground.stack.rest}/ready"
    await until(lambda: httpx.get(ready).status_code == 200)


@asynccontextmanager
async def workers_die(site: Monitored) -> AsyncIterator[None]:
    """`kill -9` of all, with runs under way."""
    sandbox, stack = site.ground.sandbox, site.ground.stack
    async with site.caller() as api:
        made = await connectors(api, 8)
        hold = {"platform": "fi_money", "at": "reply"}
        await asyncio.to_thread(sandbox.put, "/breakpoints/death", hold)
        await asyncio.gather(*(step.trigger(api, each, forceSync=True) for each in made))
        await sandbox.until_blocked("death", len(made))
        victims = [pid for name, pid in stack.status()["pids"].items() if "worker" in name]
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        await until(lambda: not set(victims) & set(stack.status()["pids"].values()))
        sandbox.control.delete("/breakpoints/death").raise_for_status()
        await _leases_lapse(site)
        yield
        for connector_id in made:
            await site.line("sync abandoned", connector_id=connector_id, code="RUN_ABANDONED")
        await until(lambda: bool(stack.status()["ready"]))


@asynccontextmanager
async def logins_refused(site: Monitored) -> AsyncIterator[None]:
    async with site.caller() as api:
        user_id = f"user_{step.new_login()}"
        await step.create_user(api, user_id)
        wrong = {"username": step.new_login(), "password": "wrong"}
        calls = [step.post(api, user_id, "zerodha", credentials=wrong) for _ in range(10)]
        assert {response.status_code for response in await asyncio.gather(*calls)} == {400}
        await site.line("logins throttled", user_id=user_id)
        yield


@asynccontextmanager
async def too_many_sign_in(site: Monitored) -> AsyncIterator[None]:
    async with site.channel(site.worker_address()) as channel, under(Users.of(channel).all_at_once):
        yield


@asynccontextmanager
async def tokens_stolen(site: Monitored) -> AsyncIterator[None]:
    """Of several sessions of one user."""
    async with site.channel(site.worker_address(1)) as channel:
        users = Users.of(channel)
        async with under(partial(users.reuse_a_token, await users.register())):
            yield


@asynccontextmanager
async def sms_used_up(site: Monitored) -> AsyncIterator[None]:
    async with site.channel(site.worker_address()) as channel:
        await Users.of(channel).ask_for_codes()
        yield


@asynccontextmanager
async def provider_away(site: Monitored) -> AsyncIterator[None]:
    async with (
        site.channel(site.worker_address()) as channel,
        under(Users.of(channel).go_to_a_provider),
    ):
        yield


@asynccontextmanager
async def mail_server_hangs(site: Monitored) -> AsyncIterator[None]:
    """With more mails due than workers can try at a time, and for longer than anybody should wait."""
    sandbox = site.ground.sandbox.sandbox.process
    async with messages.outbox_of(site, since=timedelta(minutes=5)) as outbox:
        sandbox.send_signal(signal.SIGSTOP)
        try:
            await outbox.add_mails(MORE_THAN_AT_A_TIME)
            yield
        finally:
            sandbox.send_signal(signal.SIGCONT)
        await outbox.until_over()


@asynccontextmanager
async def server_dies(site: Monitored) -> AsyncIterator[None]:
    site.alone.kill()
    yield


# The alerts by their causes.
CAUSES: Mapping[Cause, set[str]] = {
    mongodb_hiccups: {"FinlinkSlowCalls", "FinlinkMongoDBWaits"},
    mongodb_away: {"FinlinkNoHealthyServer", "FinlinkErrors"},
    platform_away: {"FinlinkPlatformDown", "FinlinkSyncsFail"},
    workers_behind: {"FinlinkSyncsLate"},
    workers_hang: {"FinlinkNobodySyncs"},
    logins_refused: {"FinlinkSuspicious"},
    too_many_sign_in: {"FinlinkPasswordsOverloaded"},
    tokens_stolen: {"FinlinkTokensReused"},
    sms_used_up: {"FinlinkSmsUsedUp"},
    provider_away: {"FinlinkProviderDown"},
    mail_server_hangs: {"FinlinkDeliveriesFail", "FinlinkNobodyDelivers"},
    workers_die: {"FinlinkWorkersDie"},
    server_dies: {"FinlinkDown"},
}
# Which are there at the same time. What is not put right again comes last.
TOGETHER: Sequence[tuple[Cause, ...]] = (
    (mongodb_hiccups,),
    (mongodb_away,),
    (platform_away, workers_behind, logins_refused),
    (too_many_sign_in, tokens_stolen, sms_used_up, provider_away),
    (workers_hang,),
    (mail_server_hangs,),
    (workers_die, server_dies),
)


@asynccontextmanager
async def run_under_way(site: Monitored) -> AsyncIterator[None]:
    """A run whose platform does not respond, and which is cancelled in the end."""
    sandbox, login = site.ground.sandbox, step.new_login()
    hold = f"/breakpoints/{login}"
    async with site.caller() as api:
        connector_id = await connector(api, login=login)
        sandbox.put(hold, {"platform": "fi_money", "login": login})
        sync_id = (await step.trigger(api, connector_id, forceSync=True))["data"]["syncId"]
        await sandbox.until_blocked(login)
        yield
        # The same run, or where all this took so long that the silence has ended it, another one.
        sync_id = (await step.trigger(api, connector_id, forceSync=True))["data"]["syncId"]
        await sandbox.until_blocked(login)
        response = await api.post(f"/connectors/{connector_id}/syncs/{sync_id}/cancel")
        assert response.is_success, response.text
    sandbox.control.delete(hold).raise_for_status()
    await site.line("sync cancelled", sync_id=sync_id)
    await site.line("sync lost its lease", sync_id=sync_id)


@asynccontextmanager
async def run_put_off(site: Monitored) -> AsyncIterator[None]:
    """A platform that wants fewer calls; the run is cancelled in the end."""
    sandbox, login = site.ground.sandbox, step.new_login()
    async with site.caller() as api:
        connector_id = await connector(api, login=login)
        sandbox.faults("fi_money", login, {"kind": "throttled", "retry_after": 60})
        sync_id = (await step.trigger(api, connector_id, forceSync=True))["data"]["syncId"]
        await site.line("sync deferred", sync_id=sync_id)
        yield
        response = await api.post(f"/connectors/{connector_id}/syncs/{sync_id}/cancel")
        assert response.is_success, response.text


async def connector(
    api: httpx.AsyncClient, platform: str = "fi_money", login: str | None = None
) -> str:
    """One that has synced once."""
    user_id = f"user_{step.new_login()}"
    await step.create_user(api, user_id)
    credentials = step.credentials_of(login or step.new_login())
    made = await step.connect(api, user_id, platform, credentials=credentials)
    await step.synced(api, made["id"])
    connector_id: str = made["id"]
    return connector_id


async def connectors(api: httpx.AsyncClient, count: int, platform: str = "fi_money") -> list[str]:
    return await asyncio.gather(*(connector(api, platform) for _ in range(count)))


async def sync(api: httpx.AsyncClient, connector_id: str) -> None:
    reply = await step.trigger(api, connector_id, forceSync=True)
    await step.finished(api, connector_id, reply["data"]["syncId"])


async def _leases_lapse(site: Monitored) -> None:
    """As time does, without the wait for it."""
    async with step.database(site.ground.stack) as documents:
        await documents["connectors"].update_many(
            {"sync.run.startedAt": {"$exists": True}}, [{"$set": {"sync.dueAt": "$$NOW"}}]
        )


@contextmanager
def _frozen(site: Monitored, name: str) -> Iterator[None]:
    pid = site.ground.stack.status()["pids"][name]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
