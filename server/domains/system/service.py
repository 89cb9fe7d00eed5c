"""Looks at all parts of Finlink, and reports that this process is one of them."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress

import structlog

from server.core.health import Finding, HealthCheck, together, worst_of
from server.domains.system.model import Health
from server.domains.system.store import ProcessStore
from server.observability.logging import cause_of

_log = structlog.stdlib.get_logger("finlink.health")

REPORT_SECONDS = 10.0  # between two reports of a process
MISSED_SECONDS = 3 * REPORT_SECONDS


class HealthService:
    def __init__(self, checks: Sequence[HealthCheck], timeout: float) -> None:
        """`timeout`: seconds that a check may take."""
        self._checks = checks
        self._timeout = timeout

    async def look(self) -> Health:
        """All checks, made now and at once."""
        findings = await asyncio.gather(*map(self._finding, self._checks))
        by_name: dict[str, list[Finding]] = {}
        for check, finding in zip(self._checks, findings, strict=True):
            by_name.setdefault(check.name, []).append(finding)
        checks = {name: together(found) for name, found in by_name.items()}
        return Health(worst_of(each.status for each in checks.values()), checks)

    async def _finding(self, check: HealthCheck) -> Finding:
        try:
            async with asyncio.timeout(self._timeout):
                return await check.look()
        except TimeoutError:
            return Finding("failing", message=f"No reply within {self._timeout:g} seconds")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the check is for
            _log.warning("check failed", check=check.name, **cause_of(error))
            return Finding("failing", message=f"It cannot be read ({type(error).__name__})")


class Processes:
    """The processes of Finlink, this one among them."""

    def __init__(self, store: ProcessStore) -> None:
        self._store = store
        self._own = secrets.token_hex(8)

    async def report(self) -> None:
        """This process is there."""
        await self._store.report(self._own, syncs=False)

    async def report_syncing(self) -> None:
        """This process is there, and syncs."""
        await self._store.report(self._own, syncs=True)

    async def leave(self) -> None:
        """This process ends. If MongoDB cannot be reached it is missed for a while."""
        with suppress(Exception):
            await self._store.leave(self._own)

    async def look(self) -> Finding:
        found = await self._store.all()
        missed = sum(each.seen > MISSED_SECONDS for each in found)
        syncing = sum(each.synced is not None and each.synced <= MISSED_SECONDS for each in found)
        lag = round(max((each.seen for each in found), default=0.0), 1)
        if not syncing:
            return Finding("failing", lag, "No process syncs")
        if missed:
            return Finding("degraded", lag, f"{missed} of {len(found)} processes do not report")
        return Finding("ok", lag, f"{len(found)} processes, {syncing} of them sync")
