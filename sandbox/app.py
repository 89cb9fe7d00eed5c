"""Composition root: the only place that joins the sandbox's parts."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from sandbox.clock import TurnableClock
from sandbox.control.api import build_control_app
from sandbox.control.fault_proxy import FaultProxy
from sandbox.control.state import Control
from sandbox.inbox.app import build_inbox_app
from sandbox.inbox.messages import Inbox
from sandbox.inbox.smtp import serving_mail
from sandbox.latency import LatencyMiddleware, LatencyRange
from sandbox.memory import Memory
from sandbox.platforms.manifest import Environment, Options, Served
from sandbox.platforms.registry import PLATFORMS
from sandbox.recorded import check_folder
from sandbox.server import open_listener, port_of, serve, stop_on_signals

log = structlog.get_logger()

LOOPBACK = "127.0.0.1"
CONTROL, INBOX, MAIL = "control", "inbox", "mail"


@dataclass(frozen=True)
class Settings:
    """`ports` and `options` by platform. `control_port` of None: no control API; the same for the inbox."""

    host: str
    ports: Mapping[str, int]
    options: Mapping[str, Options]
    control_port: int | None
    inbox_port: int | None
    mail_port: int | None
    seed: int
    latency: LatencyRange
    recordings: Path | None
    memory: Path | None  # where logins are kept over restarts


@dataclass(frozen=True)
class Apps:
    platforms: Mapping[str, ASGIApp]
    control: ASGIApp
    inbox: Inbox
    memory: Memory | None


async def run(settings: Settings) -> None:
    """Serve all platforms, and the control API and the inbox if they are wanted, until it is stopped."""
    stopping = asyncio.Event()
    stop_on_signals(stopping)
    apps = build_apps(settings, stopping)
    with ExitStack() as stack:
        listeners = {
            name: stack.enter_context(open_listener(settings.host, settings.ports[name]))
            for name in apps.platforms
        }
        served = [(apps.platforms[name], listener) for name, listener in listeners.items()]
        if settings.control_port is not None:
            listeners[CONTROL] = stack.enter_context(open_listener(LOOPBACK, settings.control_port))
            served.append((apps.control, listeners[CONTROL]))
        if settings.inbox_port is not None:
            listeners[INBOX] = stack.enter_context(open_listener(LOOPBACK, settings.inbox_port))
            served.append((build_inbox_app(apps.inbox), listeners[INBOX]))
        if settings.mail_port is not None:
            listeners[MAIL] = stack.enter_context(open_listener(LOOPBACK, settings.mail_port))
            mail = await serving_mail(apps.inbox, listeners[MAIL])
            stack.callback(mail.close)
        ports = {name: port_of(listener) for name, listener in listeners.items()}
        log.info("sandbox ready", host=settings.host, ports=ports)
        async with asyncio.TaskGroup() as group:
            if apps.memory is not None:
                group.create_task(apps.memory.keep(stopping))
            await serve(served, stopping)


def build_apps(settings: Settings, stopping: asyncio.Event) -> Apps:
    """The platforms and the control API, without which they stand alone."""
    clock = TurnableClock()
    if settings.recordings is not None:
        check_folder(settings.recordings, [manifest.name for manifest in PLATFORMS])
    platforms: dict[str, Served] = {}
    for manifest in PLATFORMS:
        folder = settings.recordings and settings.recordings / manifest.name
        environment = Environment(clock, settings.seed, stopping, folder)
        platforms[manifest.name] = manifest.build(environment, settings.options[manifest.name])
    control = Control(clock, settings.seed, stopping)

    def proxied(platform: Served) -> ASGIApp:
        app: ASGIApp = LatencyMiddleware(platform.app, settings.latency, settings.seed)
        if settings.control_port is not None:
            app = FaultProxy(app, platform.adapter, control)
        return GZipMiddleware(app) if platform.compressed else app

    return Apps(
        platforms={name: proxied(platform) for name, platform in platforms.items()},
        control=build_control_app(control, [each.adapter for each in platforms.values()]),
        inbox=Inbox(),
        memory=None if settings.memory is None else remembering(settings.memory, platforms),
    )


def remembering(path: Path, platforms: Mapping[str, Served]) -> Memory:
    """Gives the platforms their logins back, and keeps them from now on."""
    memory = Memory(path, lambda: {name: each.snapshot() for name, each in platforms.items()})
    for name, snapshot in memory.load().items():
        if name in platforms:
            platforms[name].restore(snapshot)
    return memory
