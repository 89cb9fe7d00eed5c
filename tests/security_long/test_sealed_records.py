"""Amounts and texts that platforms report are in no place that can be read without the user's data key."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.figures import Figures
from tests.e2e import connector_steps as steps
from tests.operator_commands import ran
from tests.platforms.addresses import addresses_at
from tests.sandbox import driver
from tests.sandbox.accounts import accounts_at
from tests.security_long import canaries as look
from tests.security_long.canaries import Canaries
from tests.stack import Stack, running

ALL = ["transactions", "portfolio", "trades", "profile"]
PLATFORMS = ("fi_money", "zerodha")
LONG_TEXT, LONG_NUMBER = 12, 9  # shorter ones are found anywhere, numbers also among exchange rates


def contents(value: Any) -> Iterator[str]:
    """Texts and amounts of a record that are so long that they are nothing else."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name != "platformUserId":  # a connector's field as well
                yield from contents(each)
    elif isinstance(value, list):
        for each in value:
            yield from contents(each)
    elif isinstance(value, str):
        is_number = value.replace(".", "").removeprefix("-").isdigit()
        if len(value) >= (LONG_NUMBER if is_number else LONG_TEXT):
            yield value


def backed_up(stack: Stack, folder: Path) -> bytes:
    """The content of a backup, as the command writes it by default."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MONGO")}
    env = {**clean, "DATA_DIR": str(stack.data_dir)}
    done = ran("backup", str(folder / "dump"), env=env, clean=True)
    assert done.returncode == 0, done.stderr
    return gzip.decompress((folder / "dump").read_bytes())


async def test_records_are_nowhere_in_clear(
    full: bool, figures: Figures, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("sealed")
    options = ("--option", f"zerodha.approved={driver.API_KEY}", "--control-port", 0)
    with driver.running(*options, *driver.INBOX) as sandbox, accounts_at(sandbox):
        settings = {
            "LOG_LEVEL": "DEBUG", "WORKERS": "1", **addresses_at(sandbox.urls),
            **driver.delivery_at(sandbox), "ZERODHA_API_KEY": driver.API_KEY,
            "ZERODHA_API_SECRET": driver.API_SECRET,
        }  # fmt: skip
        with running(folder / "stack", **settings) as stack:
            async with httpx.AsyncClient(base_url=f"{stack.rest}/api/v1", timeout=40) as rest:
                canaries = await _synced(rest, 1 if full else 5)
                found = await _scan(stack, canaries, deep=full)
                found += _in("the backup", backed_up(stack, folder), canaries)
            planted = next(iter(canaries.values))
            async with steps.database(stack) as documents:
                await documents["records"].insert_one({"data": {"narration": f"a {planted} z"}})
            assert "MongoDB financial_app.records" in str(await _scan(stack, canaries, deep=False))
    figures.show("texts and amounts", len(canaries.values))
    assert len(canaries.values) > 30
    assert found == [], found


async def _synced(rest: httpx.AsyncClient, each: int) -> Canaries:
    """Contents of what a user's connectors fetched, after they were read, exported and synced again.

    Of so many one: to look for each takes its time.
    """
    canaries, found = Canaries(), dict[str, str]()
    await steps.create_user(rest, "ann")
    for platform in PLATFORMS:
        connector_id = (await steps.connect(rest, "ann", platform, permissions=ALL))["id"]
        await steps.synced(rest, connector_id)
        await steps.sync(rest, connector_id)
        for record in await steps.records(rest, connector_id):
            name = {"transactions": "transaction", "trades": "trade", "portfolio": "holding"}
            for text in contents(record.get(name.get(record["dataType"], "profile"), {})):
                found[text] = record["dataType"]
    async with rest.stream("GET", "/users/ann/export") as reply:
        assert "transaction" in "".join([part async for part in reply.aiter_text()])
    for text in sorted(found)[::each]:
        canaries.add(found[text], text)
    return canaries


async def _scan(stack: Stack, canaries: Canaries, *, deep: bool) -> list[str]:
    places = [
        *(await look.documents(stack)).items(),
        *look.files(stack),
        *(await look.metrics(stack)).items(),
        *look.command_lines(stack).items(),
        *(look.data_files(stack) if deep else ()),
    ]
    return [line for place, content in places for line in _in(place, content, canaries)]


def _in(place: str, content: bytes, canaries: Canaries) -> list[str]:
    return [f"{place}: {what}" for what in canaries.found(place, content)]
