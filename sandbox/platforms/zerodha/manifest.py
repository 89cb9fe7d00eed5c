"""Zerodha as a platform of the sandbox."""

from typing import Annotated

from pydantic import BeforeValidator

from sandbox.platforms.manifest import Environment, Manifest, Options, Served
from sandbox.platforms.zerodha.adapter import ZerodhaAdapter
from sandbox.platforms.zerodha.app import build_kite_app
from sandbox.platforms.zerodha.data import KiteData
from sandbox.platforms.zerodha.generated import GeneratedKiteData
from sandbox.platforms.zerodha.recorded import RecordedKiteData
from sandbox.platforms.zerodha.sessions import Sessions


class ZerodhaOptions(Options):
    """`redirect_url`: where a login ends; on a page of the sandbox unless given."""

    secret: str = "sandbox_secret"  # noqa: S105  # of every api_key; a stand-in's secret is no secret
    redirect_url: str | None = None
    # Those api_keys get refresh tokens, as approved platforms do; separated by commas.
    approved: Annotated[tuple[str, ...], BeforeValidator(lambda given: given.split(","))] = ()


def build(environment: Environment, options: ZerodhaOptions) -> Served:
    data: KiteData = GeneratedKiteData(environment.seed, environment.clock)
    if environment.recordings is not None:
        data = RecordedKiteData(environment.recordings, data)
    sessions = Sessions(environment.clock, options.secret, options.approved)
    app = build_kite_app(sessions, data, options.redirect_url)
    return Served(
        app,
        ZerodhaAdapter(sessions, app.routes),
        sessions.snapshot,
        sessions.restore,
        compressed=True,
    )


ZERODHA = Manifest("zerodha", 8085, ZerodhaOptions, build)
