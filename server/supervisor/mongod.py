"""The embedded database: a mongod of our own as a replica set of one, since only a replica set has
transactions and change streams."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from server.edge.probes import port_answers, until
from server.supervisor.piece import Spec

NAME = "mongod"
REPLICA_SET = "finlink"
NOT_INITIATED = 94
# How long the documents before and after each change are kept, and with them how long a watch can be
# resumed. By itself MongoDB keeps them for as long as its log, in which the changes alone take a fraction.
IMAGES_SECONDS = 3_600


def uri(port: int) -> str:
    """What the workers connect to."""
    return f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}"


def spec(program: Path, port: int, data: Path, log: Path, env: dict[str, str]) -> Spec:
    """A mongod on loopback. Its own small cache leaves the memory to the workers."""
    options = {
        "--replSet": REPLICA_SET,
        "--bind_ip": "127.0.0.1",
        "--port": str(port),
        "--dbpath": str(data),
        "--wiredTigerCacheSizeGB": "0.5",
        "--oplogSize": "512",  # MB; the default is a twentieth of the free disk
    }
    # What a dead or frozen worker holds inside a transaction is free about when its leases have lapsed:
    # mongod looks for old transactions every half of their life.
    options["--setParameter"] = "transactionLifetimeLimitSeconds=5"
    pairs = [word for pair in options.items() for word in pair]
    return Spec(
        name=NAME,
        argv=(str(program), *pairs, "--nounixsocket"),
        env=env,
        ready=partial(until_primary, port),
        ready_within=60,  # recovery after a crash replays the journal
        stop_within=20,
        patient=True,  # a second Ctrl-C is no reason to kill a database that is shutting down
        log=log,
        log_stdout=True,
        telling=errors_among,
    )


def errors_among(lines: Sequence[str]) -> Sequence[str]:
    """The errors in mongod's log in its own words; all lines where there is none.

    An error is followed by dozens of lines about the shutdown.
    """
    errors = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("s") in {"E", "F"}:
            details = entry.get("attr") or {}
            errors.append(f"{entry.get('msg')}: {json.dumps(details)}" if details else entry["msg"])
    return errors or lines


async def until_primary(port: int) -> None:
    """Return when the replica set takes writes; initiate it on the first start."""
    # Connecting by hand first: the driver looks again only every half second.
    await until(partial(port_answers, port))
    address = f"mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=1000"
    client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(address)
    async with client:
        await until(partial(_primary, client, f"127.0.0.1:{port}"))


async def _primary(client: AsyncMongoClient[dict[str, object]], address: str) -> bool:
    try:
        hello = await client.admin.command("hello")
        if hello.get("isreplicaset"):  # it has no configuration it finds itself in
            await _configure(client, address)
        if not hello.get("isWritablePrimary"):
            return False
        images = {"preAndPostImages": {"expireAfterSeconds": IMAGES_SECONDS}}
        await client.admin.command({"setClusterParameter": {"changeStreamOptions": images}})
        return True
    except PyMongoError:
        return False  # it is still coming up; the piece's deadline and its log tell the rest


async def _configure(client: AsyncMongoClient[dict[str, object]], address: str) -> None:
    """Make the replica set, or give its one member the address it has in this run."""
    member = {"_id": 0, "host": address}
    try:
        config = (await client.admin.command("replSetGetConfig"))["config"]
    except OperationFailure as error:
        if error.code != NOT_INITIATED:
            raise
        # Two seconds, not ten, until a silent primary is replaced, should members be added.
        settings = {"electionTimeoutMillis": 2_000}
        config = {"_id": REPLICA_SET, "members": [member], "settings": settings}
        await client.admin.command({"replSetInitiate": config})
        return
    config["members"] = [member]
    config["version"] += 1
    # Force: nobody is primary to agree, since the only member is not in the old configuration.
    await client.admin.command({"replSetReconfig": config, "force": True})
