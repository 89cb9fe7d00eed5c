"""`python -m server edge`: Envoy alone, before servers on other hosts.

Before it stops, Envoy accepts no new connections and finishes the calls under way, so that one Envoy of
several can be replaced without failed calls.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from server.config import Settings
from server.edge.access_log import keep_short
from server.edge.certificates import tls_of
from server.edge.drain import drain
from server.edge.errors import StartError
from server.edge.metrics import Metrics
from server.edge.programs import find_envoy
from server.supervisor import preflight
from server.supervisor.datadir import DataDir
from server.supervisor.process import WITH_PARENT
from server.supervisor.run import configure_envoy
from server.supervisor.specs import env_without_secrets


def edge(settings: Settings, servers: Sequence[str]) -> None:
    """Run Envoy until it ends or SIGTERM or SIGINT arrives. Exits with one line if it cannot."""
    try:
        data = DataDir(settings.data_dir)
        program = find_envoy()
        port = settings.metrics_port or 0
        preflight.check_ports(preflight.listeners(settings, metrics=port))
        metrics = Metrics(settings.metrics_host, port) if port else None
        tls = tls_of(settings, data.path)
        configured = configure_envoy(
            settings, data, tls, sockets=(), servers=servers, metrics=metrics
        )
    except StartError as error:
        sys.exit(f"finlink: {error}")
    argv = [str(program), "-c", str(data.envoy_config), "--disable-hot-restart"]
    argv += ["--log-level", "warn"]
    sys.exit(asyncio.run(_run(argv, configured.admin_port, configured.access_log)))


async def _run(argv: Sequence[str], admin_port: int, access_log: Path) -> int:
    """Return the exit code: Envoy's, or 1 if a signal ended it."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with_parent = (sys.executable, "-I", "-S", str(WITH_PARENT), str(os.getpid()))
    # In a group of its own: Ctrl-C would end Envoy at once, with calls under way.
    envoy = await asyncio.create_subprocess_exec(
        *with_parent, *argv, env=env_without_secrets(), process_group=0
    )
    shortening = asyncio.create_task(keep_short(access_log, admin_port))
    ended, asked = asyncio.create_task(envoy.wait()), asyncio.create_task(stop.wait())
    await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
    shortening.cancel()
    asked.cancel()
    if not ended.done():
        await drain(admin_port, connections=True)
        with suppress(ProcessLookupError):
            envoy.terminate()
    code = await ended
    return 1 if code < 0 else code
