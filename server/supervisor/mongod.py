"""The embedded database: a mongod as a replica set of one, since only a replica set has transactions and
change streams."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from server.edge.probes import port_open, until
from server.supervisor.process import ProcessSpec

NAME = "mongod"
REPLICA_SET = "finlink"
NOT_INITIATED = 94
# How long the documents before and after each change are kept, and so how long a watch can be resumed.
# MongoDB's default is as long as its oplog reaches back, where the changes alone take much less space.
IMAGES_SECONDS = 3_600


def uri(port: int) -> str:
    """The address that workers connect to."""
    return f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}"


def spec(program: Path, port: int, data: Path, log: Path, env: dict[str, str]) -> ProcessSpec:
    """A mongod on loopback. Its cache is small, to leave the memory to the workers."""
    options = {
        "--replSet": REPLICA_SET,
        "--bind_ip": "127.0.0.1",
        "--port": str(port),
        "--dbpath": str(data),
        "--wiredTigerCacheSizeGB": "0.5",
        "--oplogSize": "512",  # MB; the default is a twentieth of the free disk
    }
    # Documents locked by the transaction of a dead or frozen worker become free about when its leases end:
    # mongod looks for old transactions twice in this time.
    options["--setParameter"] = "transactionLifetimeLimitSeconds=5"
    pairs = [word for pair in options.items() for word in pair]
    return ProcessSpec(
        name=NAME,
        argv=(str(program), *pairs, "--nounixsocket"),
        env=env,
        ready=partial(until_primary, port),
        ready_timeout=60,  # recovery after a crash replays the journal
        stop_timeout=20,
        ignores_hurry=True,  # a database that is shutting down is not killed by a second Ctrl-C
        log=log,
        log_stdout=True,
        reasons=errors_in,
    )


def errors_in(lines: Sequence[str]) -> Sequence[str]:
    """The errors in these lines of mongod's log; all lines if there is none.

    Dozens of lines about the shutdown follow an error.
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
    """Return when the replica set takes writes. Initiates it at the first start."""
    # First without the driver, which tries again only every half second.
    await until(partial(port_open, port))
    address = f"mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=1000"
    client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(address)
    async with client:
        await until(partial(_primary, client, f"127.0.0.1:{port}"))


async def _primary(client: AsyncMongoClient[dict[str, object]], address: str) -> bool:
    try:
        hello = await client.admin.command("hello")
        if hello.get("isreplicaset"):  # it is not in its own configuration, or has none
            await _configure(client, address)
        if not hello.get("isWritablePrimary"):
            return False
        images = {"preAndPostImages": {"expireAfterSeconds": IMAGES_SECONDS}}
        await client.admin.command({"setClusterParameter": {"changeStreamOptions": images}})
        return True
    except PyMongoError:
        return False  # it is still starting; its timeout and its log cover the rest


async def _configure(client: AsyncMongoClient[dict[str, object]], address: str) -> None:
    """Make the replica set, or give its one member the address of this run."""
    member = {"_id": 0, "host": address}
    try:
        config = (await client.admin.command("replSetGetConfig"))["config"]
    except OperationFailure as error:
        if error.code != NOT_INITIATED:
            raise
        # Two seconds instead of ten until an unreachable primary is replaced, if members are added.
        settings = {"electionTimeoutMillis": 2_000}
        config = {"_id": REPLICA_SET, "members": [member], "settings": settings}
        await client.admin.command({"replSetInitiate": config})
        return
    config["members"] = [member]
    config["version"] += 1
    # Forced: there is no primary, since the only member is not in the old configuration.
    await client.admin.command({"replSetReconfig": config, "force": True})
