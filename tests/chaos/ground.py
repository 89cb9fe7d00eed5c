"""A Finlink of two server processes beside a sandbox whose faults, clock and breakpoints tests set."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from server.domains.connectors.connections.sessions import SessionVault
from server.security.keys import ring_of
from server.security.ring import KeyRing
from server.storage.data_keys import DataKeyStore
from server.storage.driver import Database
from tests.platforms.addresses import addresses_at
from tests.sandbox import driver
from tests.sandbox.accounts import APPROVED, Accounts, accounts_at
from tests.sandbox.driver import API_KEY, API_SECRET, INBOX, delivery_at
from tests.stack import ROOT, Stack, running


@dataclass(frozen=True)
class Ground:
    """Where a scenario happens. `settings` are those every process of this Finlink has."""

    stack: Stack
    sandbox: Accounts
    settings: Mapping[str, str]

    def vault(self, database: Database) -> SessionVault:
        """Seals as the servers do."""
        key = bytes.fromhex(self.settings["ENCRYPTION_KEY"])
        return SessionVault(DataKeyStore(database, KeyRing(ring_of({}, key))))


@contextmanager
def ground(folder: Path, **settings: str) -> Iterator[Ground]:
    """Start sandbox and Finlink, with `settings` beside the usual ones; stop both at the end.

    Kite's app `PLATFORM_KEY` gets refresh tokens there, `API_KEY` does not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = (
        "--option",
        APPROVED,
        "--option",
        "fi_money.session_ttl=86400",
        "--control-port",
        0,
        *INBOX,
    )
    with driver.running(*options) as sandbox, accounts_at(sandbox) as accounts:
        every = {
            "ENCRYPTION_KEY": secrets.token_hex(32),
            **addresses_at(sandbox.urls),
            **delivery_at(sandbox),
            "ZERODHA_API_KEY": API_KEY,
            "ZERODHA_API_SECRET": API_SECRET,
            **settings,
        }
        with running(folder, **every) as stack:
            yield Ground(stack, accounts, every)


@dataclass
class Worker:
    """One more process of a Finlink, outside its supervisor's care."""

    process: subprocess.Popen[bytes]
    log: Path
    frozen: bool = field(default=False)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.frozen = False


@contextmanager
def worker(
    at: Ground, name: str, *arguments: str, mongodb_uri: str | None = None
) -> Iterator[Worker]:
    """Run `python -m server ARGUMENTS` (`worker`, `serve --listen …`) on the ground's database."""
    uri = mongodb_uri or at.stack.mongodb_uri
    # Access tokens name the origin: they are good at all servers that have the same.
    origin = f"http://localhost:{at.stack.ports['PORT']}"
    environment = {**os.environ, **at.settings, "MONGODB_URI": uri, "PUBLIC_URL": origin}
    log = at.stack.data_dir / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", *arguments],
            cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    started = Worker(process, log)
    try:
        yield started
    finally:
        if process.poll() is None:
            if started.frozen:
                started.thaw()
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                started.kill()
