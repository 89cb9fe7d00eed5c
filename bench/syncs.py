"""How many syncs a second a worker runs, over recorded replies that come at once.

Zerodha allows an app ten calls a second; here (`bench/noop`) its limiter is asked as often but spaces calls
by a millisecond, so that the worker is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from pymongo import MongoClient
from pymongo.collection import Collection

from bench import data
from bench.client import CallFailed, Client
from bench.folders import DATA, LOGS
from bench.stacks import Stack, free_port
from sandbox.clock import Clock
from sandbox.platforms.fi_money.data import TOOLS
from sandbox.platforms.fi_money.generated import GeneratedFiData
from sandbox.platforms.zerodha.generated import GeneratedKiteData
from server.domains.connectors.connections.store import CONNECTORS
from server.edge.probes import port_open, until
from server.platforms.registry import PLATFORMS
from server.supervisor.process import ProcessSpec
from server.supervisor.specs import env_without_secrets

RECORDED = DATA / "recorded"
LOGIN = "9876543210"
_KITE_CALLS = ("profile", "margins", "holdings", "positions", "trades", "mf_holdings", "mf_orders")
_LEAD_IN_RUNS = 2 * data.SYNCING
_LEAD_IN_SECONDS = 15.0  # at most
_FEED = 0.1
_AT_ONCE = 8
Document = dict[str, Any]


@dataclass(frozen=True)
class Case:
    title: str
    platform: str
    data_types: Sequence[str]


FI_TYPES = ("transactions", "portfolio", "profile", "trades")
KITE_TYPES = ("portfolio", "profile", "trades")
CASES = (
    Case("Fi Money, 4 data types", "fi_money", FI_TYPES),  # six calls
    Case("Fi Money, transactions", "fi_money", FI_TYPES[:1]),  # one
    Case("Zerodha, 3 data types", "zerodha", KITE_TYPES),  # seven
    Case("Zerodha, profile", "zerodha", ("profile",)),  # one
)


@dataclass(frozen=True)
class Sandbox:
    """Fi Money's and Zerodha's stand-ins without latency."""

    spec: ProcessSpec
    settings: dict[str, str]  # that lead Finlink to them


def record(to: Path) -> Path:
    """Write recorded replies, unless they are there: those that the sandbox invents for one login today."""
    fi, kite = GeneratedFiData(1, Clock()), GeneratedKiteData(1, Clock())
    replies = {f"fi_money/{LOGIN}/{tool}": fi.read(tool, LOGIN) for tool in TOOLS}
    for call in _KITE_CALLS:
        replies[f"zerodha/{call}"] = json.dumps(
            {"status": "success", "data": kite.read(call, LOGIN)}
        )
    for name, reply in replies.items():
        path = to / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(reply)
    return to


def sandbox() -> Sandbox:
    kite, fi = free_port(), free_port()
    argv = (
        sys.executable, "-m", "sandbox", "--port", f"zerodha={kite}", "--port", f"fi_money={fi}",
        "--latency-ms", "0", "--data", str(record(RECORDED)),
    )  # fmt: skip
    spec = ProcessSpec(
        name="sandbox",
        argv=argv,
        env=env_without_secrets(),
        ready=partial(until, partial(port_open, fi)),
        ready_timeout=60,
        log=LOGS / "sandbox.log",
        log_stdout=True,
    )
    urls = {"zerodha": f"http://127.0.0.1:{kite}", "fi_money": f"http://127.0.0.1:{fi}"}
    settings = {
        f"{platform.name}_{setting}".upper(): url
        for platform in PLATFORMS
        for setting, url in platform.sandbox_urls(urls[platform.name]).items()
    }
    return Sandbox(spec, settings)


def connect(stack: Stack) -> None:
    """Connect the users that are there for it, through Finlink. Raises CallFailed."""
    users = data.syncing_users()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(partial(_connect, stack), [users[n::_AT_ONCE] for n in range(_AT_ONCE)]))


def _connect(stack: Stack, users: Sequence[str]) -> None:
    with Client(stack.rest_port or 0) as client:
        for user_id in users:
            # The session of an earlier run is one that this sandbox does not know.
            for connector in client.get(f"/api/v1/connectors/user/{user_id}")["connectors"]:
                client.call("DELETE", f"/api/v1/connectors/{connector['id']}")
            number = user_id.partition("_")[2]
            login = {"username": f"90000{number:>05}", "password": "p"}
            # Another app for each Finlink: a login ends an earlier one of the same app and user.
            app = {"apiKey": f"{stack.name}-{number}", "apiSecret": "sandbox_secret"}
            for platform, credentials, permissions in (
                ("fi_money", login, FI_TYPES),
                ("zerodha", login | app, KITE_TYPES),
            ):
                wanted = {
                    "userId": user_id,
                    "platform": platform,
                    "credentials": credentials,
                    "permissions": list(permissions),
                }
                status, reply = client.call("POST", "/api/v1/connectors", wanted)
                if status != 201:
                    raise CallFailed(f"cannot connect {user_id}: {status} {reply}")


@dataclass(frozen=True)
class Syncs:
    rate: float  # runs a second
    per_cpu_second: float  # runs a second of the worker's processor time
    failed: int


async def measure(uri: str, users: int, stack: Stack, case: Case, seconds: float) -> Syncs:
    """Runs of one worker with more due than it can do."""
    return await asyncio.to_thread(_measure, uri, users, stack, case, seconds)


def _measure(uri: str, users: int, stack: Stack, case: Case, seconds: float) -> Syncs:
    chosen = {"userId": {"$in": data.syncing_users()}, "platform": case.platform}
    worker = psutil.Process(stack.worker_pids()[0])
    with MongoClient[Document](uri) as client:
        connectors = client[data.database_name(users)][CONNECTORS]
        connectors.update_many(chosen, {"$set": {"metadata.dataTypes": list(case.data_types)}})
        with _always_due(connectors, chosen):
            _get_going(connectors, chosen)
            total, failed = _totals(connectors, chosen)
            used, began = _processor_time(worker), time.monotonic()
            time.sleep(seconds)
            later, failed_later = _totals(connectors, chosen)
            took, used = time.monotonic() - began, _processor_time(worker) - used
        _let_end(connectors, chosen)
    runs = later - total
    return Syncs(runs / took, runs / used if used else 0.0, failed_later - failed)


@contextmanager
def _always_due(connectors: Collection[Document], chosen: Document) -> Iterator[None]:
    """A connector that has synced is due again at once."""
    idle = {**chosen, "sync.run": {"$exists": False}}
    halt = threading.Event()

    def feed() -> None:
        while not halt.wait(_FEED):
            connectors.update_many(idle, [{"$set": {"sync.dueAt": "$$NOW"}}])

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    try:
        yield
    finally:
        halt.set()
        thread.join(10)
        later = {"$dateAdd": {"startDate": "$$NOW", "unit": "hour", "amount": 1}}
        connectors.update_many(idle, [{"$set": {"sync.dueAt": later}}])


def _get_going(connectors: Collection[Document], chosen: Document) -> None:
    """Wait until the worker is in full swing, and has seen what there is of each."""
    before, _ = _totals(connectors, chosen)
    deadline = time.monotonic() + _LEAD_IN_SECONDS
    while _totals(connectors, chosen)[0] < before + _LEAD_IN_RUNS and time.monotonic() < deadline:
        time.sleep(0.1)


def _totals(connectors: Collection[Document], chosen: Document) -> tuple[int, int]:
    group = {"_id": None, "total": {"$sum": "$sync.total"}, "failed": {"$sum": "$sync.failed"}}
    found = connectors.aggregate([{"$match": chosen}, {"$group": group}])
    row = next(iter(found))
    return int(row["total"]), int(row["failed"])


def _let_end(connectors: Collection[Document], chosen: Document) -> None:
    """Wait, ten seconds at most, until nothing is under way."""
    under_way = {**chosen, "sync.run": {"$exists": True}}
    deadline = time.monotonic() + 10
    while connectors.count_documents(under_way, limit=1) and time.monotonic() < deadline:
        time.sleep(0.1)


def _processor_time(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
