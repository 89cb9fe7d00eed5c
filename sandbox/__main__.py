"""The command line: `python -m sandbox`."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import structlog
import typer

from sandbox.app import Settings, run
from sandbox.latency import LatencyRange
from sandbox.recorded import RecordingError
from sandbox.server import CannotListenError

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def main(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    kite_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of Kite Connect; 0 picks a free one.")
    ] = 8085,
    fi_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of Fi MCP; 0 picks a free one.")
    ] = 8086,
    control_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port of the control API (see sandbox/control/api.py), always on 127.0.0.1; "
            "0 picks a free one. Without this option there is no control API.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides all generated data.")] = 1,
    latency_ms: Annotated[
        str,
        typer.Option(
            metavar="MIN..MAX",
            help="Delay before every answer, in milliseconds: 20..80, 20-80 or 50.",
        ),
    ] = "10..60",
    data: Annotated[
        Path | None,
        typer.Option(
            help="Serve recorded responses from here: kite/<call>.json, fi/<phone>/<tool>.json."
        ),
    ] = None,
    kite_secret: Annotated[
        str, typer.Option(help="The api secret of every Kite api_key.")
    ] = "sandbox_secret",  # noqa: S107  # a stand-in's secret is no secret
    kite_redirect_url: Annotated[
        str | None,
        typer.Option(help="Where a Kite login ends; a page of the sandbox unless given."),
    ] = None,
    kite_approved: Annotated[
        list[str] | None,
        typer.Option(
            metavar="API_KEY",
            help="An api_key that gets refresh tokens, as approved platforms do. Repeatable.",
        ),
    ] = None,
    fi_sse: Annotated[
        bool, typer.Option("--fi-sse", help="Answer MCP requests with event streams.")
    ] = False,
    memory: Annotated[
        Path | None,
        typer.Option(help="Keep logins in this file, so that they outlive a restart."),
    ] = None,
    fi_session_ttl: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="Life of a Fi login; endless unless given."),
    ] = None,
) -> None:
    """Speak the wire protocols of Zerodha (Kite Connect) and Fi Money (MCP) over invented data.

    Any login works on either platform; the password or passcode "wrong" is refused.
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ]
    )
    settings = Settings(
        host=host,
        kite_port=kite_port,
        fi_port=fi_port,
        control_port=control_port,
        seed=seed,
        latency=_latency(latency_ms),
        data=data,
        kite_secret=kite_secret,
        kite_redirect_url=kite_redirect_url,
        kite_approved=kite_approved or [],
        fi_sse=fi_sse,
        memory=memory,
        fi_session_ttl=None if fi_session_ttl is None else timedelta(seconds=fi_session_ttl),
    )
    try:
        asyncio.run(run(settings))
    except (CannotListenError, RecordingError) as error:
        typer.echo(f"sandbox: {error}", err=True)
        raise typer.Exit(1) from error


def _latency(text: str) -> LatencyRange:
    try:
        return LatencyRange.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--latency-ms") from error


if __name__ == "__main__":
    cli(prog_name="python -m sandbox")
