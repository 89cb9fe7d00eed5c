"""The health of Finlink, and its processes."""

from collections.abc import Mapping
from dataclasses import dataclass

from server.core.health import Finding, Status


@dataclass(frozen=True, slots=True)
class Health:
    """The findings by the names of their checks, and the worst status of them."""

    status: Status
    checks: Mapping[str, Finding]


@dataclass(frozen=True, slots=True)
class Process:
    """How many seconds ago a process of Finlink reported; `synced` is None if it does not sync."""

    seen: float
    synced: float | None
