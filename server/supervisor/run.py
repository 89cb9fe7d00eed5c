"""`python -m server run`: all of Finlink on one machine. README.md has the order of start and stop."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from server.config import KeySettings, Settings
from server.edge import config as envoy_config
from server.edge.access_log import keep_short
from server.edge.certificates import tls_of
from server.edge.drain import drain
from server.edge.errors import StartError
from server.edge.limits import limits_of
from server.edge.pages import about, has_console, pages_of
from server.edge.programs import find_envoy, find_mongod
from server.edge.settings import EdgeSettings
from server.edge.tls import Tls
from server.edge.tracing import tracing_of
from server.observability.exposition import serving_metrics
from server.observability.logging import setup_logging
from server.supervisor import mongod, preflight, specs
from server.supervisor.console import RunConsole
from server.supervisor.datadir import DataDir, socket_folder, started_at
from server.supervisor.process import ProcessFailedError, race
from server.supervisor.supervisor import Supervisor

ROOT = Path(__file__).parents[2]
ENVOY_TEMPLATE = ROOT / "envoy.yaml"
_NO_CONSOLE = "not built: run `make console` (it needs Node), then start again"
_NEXT_STEP = ".venv/bin/finlink users create ravi ravi@example.com"
_EVERYWHERE = frozenset({"0.0.0.0", "::", "127.0.0.1"})  # noqa: S104 - where localhost is one of them
_CLI_PORT = 50051
DESCRIPTORS = ROOT / "gen" / "envoy.binpb"


def run(settings: Settings) -> int:
    """Start all of Finlink and keep it running until Ctrl-C. Returns the exit code."""
    setup_logging(settings.log_level, process="supervisor")
    console = RunConsole()
    try:
        asyncio.run(Run(settings, console).main())
    except (StartError, ProcessFailedError) as error:
        console.fail(str(error))
        return 1
    return 0


def configure_envoy(
    settings: Settings, data: DataDir, tls: Tls, **servers: Any
) -> envoy_config.Edge:
    """Write Envoy's configuration to the data folder; `servers` are the fields of `Edge` that name them."""
    own = settings.of(EdgeSettings)
    edge = envoy_config.Edge(
        host=own.address,
        rest_port=own.port,
        grpc_port=own.grpc_port,
        admin_port=own.admin_port,
        descriptors=DESCRIPTORS,
        access_log=data.log("access"),
        every_call=own.access_log == "all",
        limits=limits_of(own),
        tls=tls,
        tracing=tracing_of(settings),
        pages=[*pages_of(ROOT), about(ROOT, settings.app_env, data.path / "about.json")],
        **servers,
    )
    envoy_config.write(ENVOY_TEMPLATE, data.envoy_config, edge)
    return edge


class Run:
    """One run, from the first check until the last process has ended."""

    def __init__(self, settings: Settings, console: RunConsole) -> None:
        self.settings = settings
        self.edge = settings.of(EdgeSettings)
        self.console = console
        self.data = DataDir(settings.data_dir)
        self.embedded = settings.mongodb_uri is None
        self.sandboxed = specs.needs_sandbox(settings)
        self.stop_requested = asyncio.Event()
        self.supervisor = Supervisor(on_change=self._record)
        self.sockets = Path()
        self.announced = False
        self.tls = Tls()

    async def main(self) -> None:
        """Return after a requested stop; otherwise raise the error."""
        with self._signals(), ExitStack() as exits:
            exits.enter_context(self.data.locked())
            await race(self.stop_requested.wait(), self._check())
            if self.stop_requested.is_set():
                return
            self.sockets = exits.enter_context(socket_folder())
            exits.callback(self.data.remove_run_file)
            try:
                await race(self.stop_requested.wait(), self._start_and_watch(exits))
            finally:
                self.console.end_progress()
                await self.stop()

    async def _check(self) -> None:
        """Find errors before anything is started."""
        left = self.data.leftovers()
        if left:
            self.console.progress("Ending processes that an earlier, killed run has left")
            await preflight.end_leftovers(left)
        self.data.remove_run_file()
        self.envoy_program = find_envoy()
        wanted = preflight.listeners(
            self.settings,
            metrics=specs.metrics_port(self.settings),
            embedded=self.embedded,
            sandbox=self.sandboxed,
        )
        preflight.check_ports(wanted)
        if self.settings.mongodb_uri is None:
            self.mongod_program = find_mongod()
            self.mongodb_uri = mongod.uri(self.settings.mongo_port)
            if self.settings.production:
                self.console.warn(
                    "The embedded database is a single node without a copy of the data. For production, "
                    "set MONGODB_URI to a replica set, or back up the data folder."
                )
        else:
            self.mongodb_uri = self.settings.mongodb_uri.get_secret_value()
            await preflight.check_mongodb(self.mongodb_uri)
        # Of the data folder, if none is set; production refuses to start without one.
        self.encryption_key, made = self.data.key_for(self.settings.of(KeySettings).ring)
        if made:
            self.console.line(
                f"Created the encryption key {self.data.path}/encryption.key. Keep it with the data."
            )
        self.tls = tls_of(self.settings, self.data.path)

    async def _start_and_watch(self, exits: ExitStack) -> None:
        settings, data = self.settings, self.data
        sockets = [self.sockets / f"worker-{i}.sock" for i in range(settings.workers)]
        edge = configure_envoy(settings, data, self.tls, sockets=sockets)

        first = []
        if self.embedded:
            port, log = settings.mongo_port, data.log("mongod")
            env = specs.env_without_secrets()
            first.append(mongod.spec(self.mongod_program, port, data.mongo, log, env))
        if self.sandboxed:
            first.append(specs.sandbox(settings))
        if first:
            self.console.progress(f"Starting {' and '.join(spec.name for spec in first)}")
            await self.supervisor.start(first)

        count = settings.workers
        self.console.progress(f"Starting {count} worker{'s' if count > 1 else ''}")
        metrics = data.fresh_metrics()
        env = specs.worker_env(
            self.mongodb_uri,
            self.encryption_key,
            metrics=metrics,
            generations=self.sockets / "generations",
            user_limits=self.sockets / "user-limits",
        )
        await self.supervisor.start(
            [specs.worker(i, socket, env) for i, socket in enumerate(sockets)]
        )

        self.console.progress("Starting Envoy")
        log = data.log("envoy")
        admin = self.edge.admin_port
        program, config = self.envoy_program, data.envoy_config
        await self.supervisor.start([specs.envoy(program, config, admin, log, workers=count)])
        if port := specs.metrics_port(settings):
            exits.enter_context(serving_metrics(settings.metrics_host, port, metrics))
        self._announce()
        await race(self.supervisor.watch(), keep_short(edge.access_log, admin))

    def _announce(self) -> None:
        self.announced = True
        self._record()
        host = "localhost" if self.edge.address in _EVERYWHERE else self.edge.address
        host = f"[{host}]" if ":" in host else host
        https = f"https://{host}:{self.edge.tls_port}"
        grpc = f"{host}:{self.edge.grpc_port}"
        elsewhere = "" if grpc == f"localhost:{_CLI_PORT}" else f" --address {grpc}"
        facts = {"HTTPS": https} if self.tls.rest else {}
        if self.edge.http == "on":
            facts = {"REST": f"http://{host}:{self.edge.port}", **facts}
        pages = next(iter(facts.values()), https)
        facts |= {
            "gRPC": grpc,
            "API docs": f"{pages}/docs",
            "Console": f"{pages}/console/" if has_console(ROOT) else _NO_CONSOLE,
            "Data": str(self.data.path),
        }
        if self.sandboxed:
            port = specs.inbox_ports(self.settings)["inbox"]
            facts["Inbox"] = f"http://127.0.0.1:{port}/inbox"
        self.console.announce(facts, next_step=_NEXT_STEP + elsewhere, hint="Press Ctrl-C to stop.")

    async def stop(self) -> None:
        """In the order that README.md gives."""
        if not self.supervisor.processes:
            return
        self.console.line("Stopping …")
        by_name = {each.spec.name: each for each in self.supervisor.processes}
        envoy, sandbox, database = (by_name.pop(n, None) for n in ("envoy", "sandbox", "mongod"))
        if envoy is not None and envoy.is_ready:
            await race(self.supervisor.hurry.wait(), drain(self.edge.admin_port))
        await self.supervisor.stop(list(by_name.values()))
        for process in (envoy, sandbox, database):
            if process is not None:
                await self.supervisor.stop([process])
        self.console.line("Stopped.")

    def _record(self) -> None:
        """Write run.json: processes and ports, for operators, tests, and the next run after a kill."""
        running = {p.spec.name: p.pid for p in self.supervisor.processes if p.pid is not None}
        settings, edge = self.settings, self.edge
        ports = {"grpc": edge.grpc_port, "admin": edge.admin_port}
        if self.tls.http != "off":
            ports["rest"] = edge.port
        if self.tls.rest is not None:
            ports["https"] = edge.tls_port
        if port := specs.metrics_port(settings):
            ports["metrics"] = port
        if self.embedded:
            ports["mongo"] = settings.mongo_port
        if self.sandboxed:
            ports |= specs.sandbox_ports(settings)
            ports |= {f"sandbox_{name}": port for name, port in specs.inbox_ports(settings).items()}
            if port := settings.sandbox_control_port:
                ports["sandbox_control"] = port
        self.data.write_run_file(
            {
                "pid": os.getpid(),
                "ready": self.announced and all(p.is_ready for p in self.supervisor.processes),
                "pids": running,
                "ports": ports,
                "sockets": str(self.sockets),
                "started": {name: [pid, started_at(pid)] for name, pid in running.items()},
            }
        )

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C, SIGTERM and a closed terminal request a stop; a second one hurries it."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, partial(self._requested, number))
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _requested(self, number: signal.Signals) -> None:
        if not self.stop_requested.is_set():
            self.stop_requested.set()
        elif number != signal.SIGHUP:
            self.supervisor.hurry.set()
