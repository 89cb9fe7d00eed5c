"""A clone of the project for one test: Finlink runs in it, and what documents tell is pasted into it.

Ports are others: in the settings, and where a pasted text says `localhost:3000`.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import httpx

from server.edge import probes
from server.settings import PORT_SETTINGS, every
from server.supervisor.specs import DEFAULT_METRICS_PORT
from tests.stack import free_ports

PORTS: dict[str, int] = {
    **{name: info.default for name, info in every() if name in PORT_SETTINGS},
    "METRICS_PORT": DEFAULT_METRICS_PORT,
}
STOP_SECONDS = 120.0


class Clone:
    """A folder with the project, and the Finlink that runs there."""

    def __init__(self, folder: Path, home: Path, **settings: str) -> None:
        self.folder = folder
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.rest = f"http://127.0.0.1:{self.ports['PORT']}"
        self.log = folder.parent / "output.log"
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "FINLINK_ADDRESS": f"localhost:{self.ports['GRPC_PORT']}",
            **{name: str(port) for name, port in self.ports.items()},
            **settings,
        }
        self._run: subprocess.Popen[bytes] | None = None

    async def start(self, command: Sequence[str], seconds: float) -> None:
        """As one does in a terminal of its own; returns once it is ready."""
        with self.log.open("ab") as output:
            self._run = await asyncio.to_thread(
                subprocess.Popen,
                command, cwd=self.folder, env=self._environment,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        async with asyncio.timeout(seconds):
            await probes.until(self._is_ready)

    async def stop(self) -> None:
        """Ctrl-C, which a terminal sends to all that runs in it."""
        assert self._run is not None
        os.killpg(self._run.pid, signal.SIGINT)
        code = await asyncio.to_thread(self._run.wait, STOP_SECONDS)
        assert code in {0, -signal.SIGINT}, self.log.read_text()
        self._run = None
        for name, port in self.ports.items():
            assert not await probes.port_open(port), f"{name} still answers"

    @property
    def is_up(self) -> bool:
        return self._run is not None

    def end(self) -> None:
        """Whatever has become of it."""
        if self._run is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._run.pid, signal.SIGTERM)
            self._run.wait()

    async def paste(self, text: str, **settings: str) -> str:
        """What a shell says to it. Every command must succeed."""
        for name, port in PORTS.items():
            text = re.sub(rf"localhost:{port}\b", f"localhost:{self.ports[name]}", text)
        done = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-e"], input=text, cwd=self.folder, env={**self._environment, **settings},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    async def _is_ready(self) -> bool:
        assert self._run is not None
        assert self._run.poll() is None, f"Finlink has ended:\n{self.log.read_text()}"
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{self.rest}/ready")).status_code == 200
        except httpx.TransportError:
            return False
