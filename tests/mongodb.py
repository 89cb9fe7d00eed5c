"""A MongoDB for tests of what talks to it: the one that `make run` starts, without the rest of Finlink."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from server.edge.programs import find_mongod
from server.supervisor import mongod
from server.supervisor.specs import env_without_secrets
from server.supervisor.supervisor import Supervisor


@dataclass(frozen=True)
class MongoDb:
    """A running one, on loopback."""

    port: int

    @property
    def uri(self) -> str:
        return mongod.uri(self.port)


@asynccontextmanager
async def running(folder: Path, port: int) -> AsyncIterator[MongoDb]:
    """Start it on what is in the folder, or on nothing; stop it at the end."""
    (folder / "data").mkdir(exist_ok=True)
    log = folder / "mongod.log"
    spec = mongod.spec(find_mongod(), port, folder / "data", log, env_without_secrets())
    supervisor = Supervisor()
    try:
        await supervisor.start([spec])
        yield MongoDb(port)
    finally:
        await supervisor.stop(supervisor.processes)
