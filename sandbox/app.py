"""Composition root: the only place that picks and joins the sandbox's parts."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog
from starlette.types import ASGIApp

from sandbox.clock import Clock
from sandbox.fi.app import build_fi_app
from sandbox.fi.data import FiData
from sandbox.fi.generated import GeneratedFiData
from sandbox.fi.sessions import Logins
from sandbox.kite.app import build_kite_app
from sandbox.kite.data import KiteData
from sandbox.kite.generated import GeneratedKiteData
from sandbox.kite.sessions import Sessions
from sandbox.latency import LatencyMiddleware, LatencyRange
from sandbox.recorded import load_recordings
from sandbox.server import open_listener, port_of, serve, stop_on_signals

log = structlog.get_logger()


@dataclass(frozen=True)
class Settings:
    host: str
    kite_port: int
    fi_port: int
    seed: int
    latency: LatencyRange
    data: Path | None
    kite_secret: str
    kite_redirect_url: str | None
    kite_approved: list[str]
    fi_sse: bool
    fi_session_ttl: timedelta | None


async def run(settings: Settings) -> None:
    """Serve both platforms until told to stop."""
    clock = Clock()
    stopping = asyncio.Event()
    stop_on_signals(stopping)
    kite_data: KiteData = GeneratedKiteData(settings.seed, clock)
    fi_data: FiData = GeneratedFiData(settings.seed, clock)
    if settings.data is not None:
        kite_data, recorded_fi = load_recordings(settings.data, kite_data)
        fi_data = recorded_fi
        log.info("recordings loaded", fi_logins=recorded_fi.logins)

    def delayed(app: ASGIApp) -> ASGIApp:
        return LatencyMiddleware(app, settings.latency, settings.seed)

    sessions = Sessions(clock, settings.kite_secret, settings.kite_approved)
    kite_app = build_kite_app(sessions, kite_data, settings.kite_redirect_url)
    fi_app = build_fi_app(
        Logins(clock, settings.fi_session_ttl), fi_data, stopping, settings.fi_sse
    )
    with (
        open_listener(settings.host, settings.kite_port) as kite_listener,
        open_listener(settings.host, settings.fi_port) as fi_listener,
    ):
        log.info(
            "sandbox ready",
            host=settings.host,
            kite_port=port_of(kite_listener),
            fi_port=port_of(fi_listener),
        )
        await serve([(delayed(kite_app), kite_listener), (delayed(fi_app), fi_listener)], stopping)
