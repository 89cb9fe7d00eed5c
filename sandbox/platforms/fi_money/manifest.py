"""Fi Money as a platform of the sandbox."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from sandbox.platforms.fi_money.adapter import FiMoneyAdapter
from sandbox.platforms.fi_money.app import build_fi_app
from sandbox.platforms.fi_money.data import FiData
from sandbox.platforms.fi_money.generated import GeneratedFiData
from sandbox.platforms.fi_money.recorded import RecordedFiData
from sandbox.platforms.fi_money.sessions import Logins
from sandbox.platforms.manifest import Environment, Manifest, Options, Served


class FiMoneyOptions(Options):
    """`sse`: reply to MCP requests with event streams. `session_ttl`: seconds a login lasts."""

    sse: bool = False
    session_ttl: Annotated[float, Field(ge=0)] | None = None  # endless unless given


def build(environment: Environment, options: FiMoneyOptions) -> Served:
    data: FiData = GeneratedFiData(environment.seed, environment.clock)
    if environment.recordings is not None:
        data = RecordedFiData(environment.recordings)
    ttl = None if options.session_ttl is None else timedelta(seconds=options.session_ttl)
    logins = Logins(environment.clock, ttl)
    app = build_fi_app(logins, data, environment.stopping, options.sse)
    return Served(app, FiMoneyAdapter(logins), logins.snapshot, logins.restore)


FI_MONEY = Manifest("fi_money", 8086, FiMoneyOptions, build)
