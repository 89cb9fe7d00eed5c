"""The command line: `python -m sandbox`."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import structlog
import typer
from pydantic import ValidationError

from sandbox.app import Settings, run
from sandbox.latency import LatencyRange
from sandbox.platforms.manifest import Options
from sandbox.platforms.registry import PLATFORMS
from sandbox.recorded import RecordingError
from sandbox.server import CannotListenError

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

BY_NAME = {manifest.name: manifest for manifest in PLATFORMS}
_CHOICES = ", ".join(
    f"{name}.{field}" for name in BY_NAME for field in BY_NAME[name].options.model_fields
)
_DEFAULT_PORTS = ", ".join(f"{manifest.name}={manifest.port}" for manifest in PLATFORMS)


@cli.command()
def main(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLATFORM=PORT",
            help=f"Port of a platform; 0 picks a free one. Repeatable. Unless given: {_DEFAULT_PORTS}.",
        ),
    ] = None,
    free_ports: Annotated[
        bool, typer.Option("--free-ports", help="Platforms without --port pick a free one.")
    ] = False,
    control_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port of the control API (see sandbox/control/api.py), always on 127.0.0.1; "
            "0 picks a free one. Without this option there is no control API.",
        ),
    ] = None,
    inbox_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port of the inbox (see sandbox/inbox/app.py): it takes SMS and shows what came, on "
            "127.0.0.1; 0 picks a free one. Without this option there is none.",
        ),
    ] = None,
    mail_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port where mails for the inbox arrive by SMTP, on 127.0.0.1."
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLATFORM.NAME=VALUE",
            help=f"An option of a platform, see its manifest.py. Repeatable. There are: {_CHOICES}.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides all generated data.")] = 1,
    latency_ms: Annotated[
        str,
        typer.Option(
            metavar="MIN..MAX",
            help="Delay before every reply, in milliseconds: 20..80, 20-80 or 50.",
        ),
    ] = "10..60",
    data: Annotated[
        Path | None,
        typer.Option(
            help="Serve recorded responses from here: a folder for each platform, see its recorded.py."
        ),
    ] = None,
    memory: Annotated[
        Path | None,
        typer.Option(help="Keep logins in this file, so that they outlive a restart."),
    ] = None,
) -> None:
    """Speak the platforms' wire protocols over invented data, and take mails and SMS.

    Any login works on each platform; the password or passcode "wrong" is refused.
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
        ports=_ports(port or [], free=free_ports),
        options=_options(option or []),
        control_port=control_port,
        inbox_port=inbox_port,
        mail_port=mail_port,
        seed=seed,
        latency=_latency(latency_ms),
        recordings=data,
        memory=memory,
    )
    try:
        asyncio.run(run(settings))
    except (CannotListenError, RecordingError) as error:
        typer.echo(f"sandbox: {error}", err=True)
        raise typer.Exit(1) from error


def _ports(given: Sequence[str], *, free: bool) -> Mapping[str, int]:
    ports = {manifest.name: 0 if free else manifest.port for manifest in PLATFORMS}
    for text in given:
        name, _, number = text.partition("=")
        if name not in ports or not number.isdecimal() or int(number) > 65535:
            raise typer.BadParameter(
                f"{text!r} is not PLATFORM=PORT with one of {', '.join(ports)}",
                param_hint="--port",
            )
        ports[name] = int(number)
    return ports


def _options(given: Sequence[str]) -> Mapping[str, Options]:
    chosen: dict[str, dict[str, str]] = {name: {} for name in BY_NAME}
    for text in given:
        path, _, value = text.partition("=")
        platform, _, name = path.partition(".")
        if platform not in chosen or name not in BY_NAME[platform].options.model_fields:
            raise typer.BadParameter(f"{path!r} is none of {_CHOICES}", param_hint="--option")
        chosen[platform][name] = value
    try:
        return {name: BY_NAME[name].options.model_validate(chosen[name]) for name in BY_NAME}
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        message = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise typer.BadParameter(message, param_hint="--option") from error


def _latency(text: str) -> LatencyRange:
    try:
        return LatencyRange.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--latency-ms") from error


if __name__ == "__main__":
    cli(prog_name="python -m sandbox")
