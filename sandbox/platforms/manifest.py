"""The parts of a platform that the sandbox serves."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict
from starlette.types import ASGIApp

from sandbox.clock import Clock
from sandbox.control.calls import PlatformAdapter


class Options(BaseModel):
    """The options of a platform, as `--option PLATFORM.FIELD=VALUE`."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Environment:
    """The objects that the sandbox gives to each platform."""

    clock: Clock
    seed: int
    stopping: asyncio.Event
    recordings: Path | None = None  # the platform's folder of recorded responses


@dataclass(frozen=True)
class Served:
    """A platform that was built.

    `snapshot` is JSON of who is logged in, and `restore` takes it back after a restart.
    """

    app: ASGIApp
    adapter: PlatformAdapter
    snapshot: Callable[[], Any]
    restore: Callable[[Any], None]
    compressed: bool = False  # whether it replies with gzip to callers who take it


SomeOptions = TypeVar("SomeOptions", bound=Options)


@dataclass(frozen=True)
class Manifest(Generic[SomeOptions]):
    """`name` is the contract's word for the platform, `port` where it listens by default."""

    name: str
    port: int
    options: type[SomeOptions]
    build: Callable[[Environment, SomeOptions], Served]
