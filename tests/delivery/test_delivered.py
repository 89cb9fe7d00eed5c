"""From the outbox to the sandbox's inbox and to files, with schedulers as every process runs them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from server.config import Settings
from server.delivery.building import Deliveries, build_delivery
from server.delivery.message import Message
from server.jobs import scheduler
from server.settings import load
from server.storage.driver import ClientSession
from tests.delivery.world import CODE, KEY, TO, World
from tests.domains.connectors.waiting import eventually
from tests.sandbox.driver import INBOX, Running, running

LINK = "https://app.example/reset#token=abc"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with running(*INBOX) as started:
        yield started


def settings(**given: Any) -> Settings:
    return load(_env_file=None, **given)


def at(sandbox: Running, **given: Any) -> Settings:
    """Settings of development, whose sandbox this is."""
    inbox, mail = (int(each.rpartition(":")[2]) for each in (sandbox.inbox, sandbox.mail))
    return settings(sandbox_inbox_port=inbox, sandbox_mail_port=mail, **given)


@asynccontextmanager
async def delivering(world: World, given: Settings) -> AsyncIterator[Deliveries]:
    deliveries = build_delivery(given, world.database, KEY, world.clock.now)
    deliveries.start()
    try:
        yield deliveries
    finally:
        await deliveries.stop()


async def add(world: World, deliveries: Deliveries, *messages: Message) -> list[str]:
    async def work(session: ClientSession) -> list[str]:
        return [await deliveries.outbox.add(each, session) for each in messages]

    references = await world.database.transact(work)
    deliveries.outbox.wake()
    return references


def written(folder: Path) -> list[Path]:
    """Mails, then SMS."""
    return sorted(folder.iterdir(), key=lambda file: file.suffix)


async def until_state(world: World, state: str, count: int) -> None:
    async def reached() -> bool:
        return await world.collection.count_documents({"state": state}) == count

    await eventually(reached, f"{count} {state}")


async def test_mails_and_sms_are_in_the_sandboxes_inbox(
    world: World, sandbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "POLL_SECONDS", 3_600)  # only `wake` is left
    mail = world.message(text=f"Open {LINK}.\n")
    async with delivering(world, at(sandbox)) as deliveries:
        one, other = await add(world, deliveries, mail, world.message("sms"))
        await until_state(world, "sent", 2)
    async with httpx.AsyncClient(base_url=sandbox.inbox) as client:
        inbox = (await client.get("/inbox.json")).json()["messages"]
        page = (await client.get("/inbox")).text
    came = {each["channel"]: each for each in inbox}
    assert came["mail"].items() >= {
        "from": "Finlink <finlink@localhost>", "to": TO["mail"], "subject": "Your code",
        "text": f"Open {LINK}.\n", "reference": f"<{one}@localhost>",
    }.items()  # fmt: skip
    assert came["sms"].items() >= {
        "from": "FINLNK", "to": TO["sms"], "text": f"Your code: {CODE}", "reference": other,
    }.items()  # fmt: skip
    assert f'<a href="{LINK}">{LINK}</a>.' in page


async def test_what_the_sandbox_refuses(world: World, sandbox: Running) -> None:
    refused = world.message(to="refused@example.com"), world.message("sms", to="+919876500000")
    later = world.message(to="unavailable@example.com"), world.message("sms", to="+919876599999")
    async with delivering(world, at(sandbox)) as deliveries:
        await add(world, deliveries, *refused, *later)
        await until_state(world, "refused", 2)

        async def tried() -> bool:
            where = {"state": "waiting", "code": {"$exists": True}}
            return await world.collection.count_documents(where) == 2

        await eventually(tried, "a try of each")
    codes = sorted([each["code"] async for each in world.collection.find({})])
    assert codes == ["HTTP_400", "HTTP_503", "SMTP_451", "SMTP_550"]


async def test_without_a_sandbox_they_are_files(world: World, tmp_path: Path) -> None:
    given = settings(sandbox=False, data_dir=tmp_path)
    async with delivering(world, given) as deliveries:
        references = await add(world, deliveries, world.message(), world.message("sms"))
        await until_state(world, "sent", 2)
    files = written(tmp_path / "outbox")
    assert [re.findall(r"dlv_\w+", file.name) for file in files] == [[each] for each in references]
    assert [file.suffix for file in files] == [".eml", ".txt"]
    assert all(CODE in file.read_text() for file in files)


async def test_how_long_messages_wait_for_a_worker(world: World, tmp_path: Path) -> None:
    given = settings(sandbox=False, data_dir=tmp_path)
    deliveries = build_delivery(given, world.database, KEY, world.clock.now)
    assert await deliveries.overdue() == timedelta(0)
    await world.add(world.message("sms", not_after=world.clock.now() + timedelta(hours=1)))
    world.clock.turn(seconds=40)
    await world.add()
    assert timedelta(seconds=40) <= await deliveries.overdue() < timedelta(seconds=70)
    await world.claimed("sms")
    assert await deliveries.overdue() < timedelta(seconds=30), "that one has a worker"


async def test_the_gauge_shows_it(world: World, tmp_path: Path) -> None:
    await world.add()
    world.clock.turn(minutes=10)
    given = settings(
        sandbox=False, data_dir=tmp_path, smtp_url="smtp://127.0.0.1:1", mail_from="a@b"
    )
    deliveries = build_delivery(given, world.database, KEY, world.clock.now)
    deliveries._reporting.start()

    async def shown() -> bool:
        return (REGISTRY.get_sample_value("finlink_delivery_overdue_seconds") or 0) >= 600

    await eventually(shown, "the gauge")
    await deliveries._reporting.stop()
