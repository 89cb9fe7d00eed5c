"""Composition root: the only place that picks and joins the sandbox's parts."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from sandbox.clock import TurnableClock
from sandbox.control.api import build_control_app
from sandbox.control.calls import Platform
from sandbox.control.gate import Gate
from sandbox.control.state import Control
from sandbox.fi.app import build_fi_app
from sandbox.fi.data import FiData
from sandbox.fi.generated import GeneratedFiData
from sandbox.fi.hook import FiPlatform
from sandbox.fi.sessions import Logins
from sandbox.kite.app import build_kite_app
from sandbox.kite.data import KiteData
from sandbox.kite.generated import GeneratedKiteData
from sandbox.kite.hook import KitePlatform
from sandbox.kite.sessions import Sessions
from sandbox.latency import LatencyMiddleware, LatencyRange
from sandbox.memory import Memory
from sandbox.recorded import load_recordings
from sandbox.server import open_listener, port_of, serve, stop_on_signals

log = structlog.get_logger()

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Settings:
    """`control_port` of None: no control API."""

    host: str
    kite_port: int
    fi_port: int
    control_port: int | None
    seed: int
    latency: LatencyRange
    data: Path | None
    kite_secret: str
    kite_redirect_url: str | None
    kite_approved: list[str]
    fi_sse: bool
    fi_session_ttl: timedelta | None
    memory: Path | None  # where logins are kept over restarts


@dataclass(frozen=True)
class Apps:
    kite: ASGIApp
    fi: ASGIApp
    control: ASGIApp
    memory: Memory | None


async def run(settings: Settings) -> None:
    """Serve both platforms, and the control API if it is wanted, until told to stop."""
    stopping = asyncio.Event()
    stop_on_signals(stopping)
    apps = build_apps(settings, stopping)
    with ExitStack() as stack:
        kite = stack.enter_context(open_listener(settings.host, settings.kite_port))
        fi = stack.enter_context(open_listener(settings.host, settings.fi_port))
        served = [(apps.kite, kite), (apps.fi, fi)]
        ports = {"kite_port": port_of(kite), "fi_port": port_of(fi)}
        if settings.control_port is not None:
            control = stack.enter_context(open_listener(LOOPBACK, settings.control_port))
            served.append((apps.control, control))
            ports["control_port"] = port_of(control)
        log.info("sandbox ready", host=settings.host, **ports)
        async with asyncio.TaskGroup() as group:
            if apps.memory is not None:
                group.create_task(apps.memory.keep(stopping))
            await serve(served, stopping)


def build_apps(settings: Settings, stopping: asyncio.Event) -> Apps:
    """Kite, Fi and the control API, without which the first two stand alone."""
    clock = TurnableClock()
    kite_data: KiteData = GeneratedKiteData(settings.seed, clock)
    fi_data: FiData = GeneratedFiData(settings.seed, clock)
    if settings.data is not None:
        kite_data, recorded_fi = load_recordings(settings.data, kite_data)
        fi_data = recorded_fi
        log.info("recordings loaded", fi_logins=recorded_fi.logins)
    sessions = Sessions(clock, settings.kite_secret, settings.kite_approved)
    logins = Logins(clock, settings.fi_session_ttl)
    kite_app = build_kite_app(sessions, kite_data, settings.kite_redirect_url)
    fi_app = build_fi_app(logins, fi_data, stopping, settings.fi_sse)

    control = Control(clock, settings.seed, stopping)
    platforms: list[Platform] = [KitePlatform(sessions, kite_app.routes), FiPlatform(logins)]

    def gated(app: ASGIApp, platform: Platform) -> ASGIApp:
        delayed = LatencyMiddleware(app, settings.latency, settings.seed)
        return delayed if settings.control_port is None else Gate(delayed, platform, control)

    return Apps(
        kite=GZipMiddleware(gated(kite_app, platforms[0])),
        fi=gated(fi_app, platforms[1]),
        control=build_control_app(control, platforms),
        memory=_remembering(settings.memory, sessions, logins),
    )


def _remembering(path: Path | None, sessions: Sessions, logins: Logins) -> Memory | None:
    if path is None:
        return None
    memory = Memory(path, lambda: {"kite": sessions.snapshot(), "fi": logins.snapshot()})
    remembered = memory.load()
    sessions.restore(remembered.get("kite", []))
    logins.restore(remembered.get("fi", {}))
    return memory
