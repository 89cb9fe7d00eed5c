"""How long it takes until the rows of a bank are transactions: a sync of 10,000, from the connection on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo import MongoClient
from pymongo.database import Database

from bench.client import CallFailed
from bench.folders import DATA
from bench.money import sizes
from bench.money.world import Caller, World
from bench.rows import figure_row
from bench.syncs import LOGIN, record

ROWS = 10_000
RECORDED = DATA / "recorded-statement"
_DAYS = 700
_MOST_TURNS = 3
_WAIT_SECONDS = 300.0
_LOOK_SECONDS = 0.05
Document = dict[str, Any]


def recorded(to: Path = RECORDED, rows: int = ROWS) -> Path:
    """Write a statement of so many rows beside the recorded replies, unless it is there."""
    path = to / "fi_money" / LOGIN / "fetch_bank_transactions.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        today = date.today()  # noqa: DTZ011 - any day near it will do
        bank = {"bank": "Konkan Bank", "txns": list(_statement(today, rows))[::-1]}
        path.write_text(json.dumps({"schemaDescription": "", "bankTransactions": [bank]}))
    return record(to)


def _statement(today: date, rows: int) -> Iterator[list[Any]]:
    """Oldest first, each with the balance after it."""
    balance = 100_000
    for number in range(rows):
        day = today - timedelta(days=_DAYS - _DAYS * number // rows)
        kind, amount = (1, 9_000) if number % 10 == 0 else (2, 100 + number * 7 % 1_700)
        balance += amount if kind == 1 else -amount
        narration = f"UPI-GREENLEAF GROCERS {number % 50}-{number:012}"
        yield [str(amount), narration, day.isoformat(), kind, "OTHERS", str(balance)]


def syncs(world: World, turns: int) -> dict[str, Any]:
    """Each time of a new user, who is deleted again."""
    found, stored = [], {}
    with MongoClient[Document](world.up.uri) as mongo:
        database = mongo[world.size.database]
        for turn in range(min(turns, _MOST_TURNS)):
            world.up.report(f"sync of {ROWS:,}: turn {turn + 1} of {min(turns, _MOST_TURNS)}")
            name = f"statement_{time.time_ns()}"
            with world.service() as client:
                found.append(_sync(client, database, name))
                stored = sizes.measure(database)
                client.done("DELETE", f"/api/v1/users/{name}")
            _await_end(database)
    origins = stored[sizes.ORIGINS]
    row = figure_row(
        f"sync of {ROWS:,} rows until all are transactions", [each["posted"] for each in found],
        15, " s", aim=5,
    )  # fmt: skip
    fetched = figure_row("… until all are records", [each["stored"] for each in found], None, " s")
    size = (origins["disk"] + origins["indexes"]) / origins["documents"]
    origin = figure_row("an origin on disk, with its index", [round(size, 1)], None, " B")
    return {"seconds": found, "sizes": stored, "rows": [row, fetched, origin]}


def _sync(client: Caller, database: Database[Document], name: str) -> dict[str, float]:
    """Seconds from the request to connect until all rows are records, and until they are transactions."""
    created = {"userId": name, "email": f"{name}@example.com"}
    owner = ObjectId(client.done("POST", "/api/v1/users", created)["id"])
    wanted = {
        "userId": name, "platform": "fi_money", "permissions": ["transactions"],
        "credentials": {"username": LOGIN, "password": "p"},
    }  # fmt: skip
    before = database["records"].estimated_document_count()
    began = time.perf_counter()
    client.done("POST", "/api/v1/connectors", wanted)
    found: dict[str, float] = {}
    while "posted" not in found:
        taken = time.perf_counter() - began
        if taken > _WAIT_SECONDS:
            raise CallFailed(f"{ROWS:,} rows were not posted within {_WAIT_SECONDS:.0f} s")
        if database["records"].estimated_document_count() - before >= ROWS:
            found.setdefault("stored", round(taken, 2))
            if database["transactions"].count_documents({"owner": owner}) >= ROWS:
                found["posted"] = round(taken, 2)
        time.sleep(_LOOK_SECONDS)
    return found


def _await_end(database: Database[Document]) -> None:
    """Until what a deleted user had is erased, so that it disturbs nothing."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline and any(
        database[name].find_one() is not None for name in ("money_erasures", "record_erasures")
    ):
        time.sleep(_LOOK_SECONDS)
