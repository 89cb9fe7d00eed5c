"""Seals the audit trail: one process at a time, a batch at a time, a second behind at most."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from server.audit.suspicions import Suspicions
from server.observability.logging import cause_of
from server.storage.audit import BATCH, AuditTrail, HeadChanged
from server.storage.claims import ClaimBusy, Claims
from server.storage.driver import Document

_log = structlog.stdlib.get_logger("finlink.audit")

PAUSE_SECONDS = 1.0
STOP_SECONDS = 5.0
LOOK_EACH = 10 * BATCH  # events; each look reads what was before them, too


class Sealer:
    """`start` it once; `stop` lets a batch that is under way finish."""

    def __init__(self, trail: AuditTrail, claims: Claims) -> None:
        self._trail = trail
        self._suspicions = Suspicions(trail)
        self._claims = claims
        self._stopping = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._loop = asyncio.create_task(self._seal_forever())

    async def stop(self) -> None:
        self._stopping.set()
        if self._loop is not None:
            _, late = await asyncio.wait({self._loop}, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()

    async def _seal_forever(self) -> None:
        while not self._stopping.is_set():
            try:
                await self.seal()
            except Exception as error:  # noqa: BLE001 - whatever it was, the next round may work
                _log.warning("audit events not sealed", **cause_of(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), PAUSE_SECONDS)

    async def seal(self) -> int:
        """Seal all there is, unless another process does; how many events it was."""
        sealed = 0
        with suppress(ClaimBusy, HeadChanged):
            async with self._claims.hold("audit/seal"):
                fresh: list[Document] = []
                more = True
                while more and not self._stopping.is_set():
                    batch = await self._trail.seal_some()
                    sealed += len(batch)
                    fresh += batch
                    more = len(batch) == BATCH
                    if not more or len(fresh) >= LOOK_EACH:
                        await self._suspicions.look(fresh)
                        fresh = []
                await self._suspicions.look(fresh)
        if sealed:
            head = await self._trail.head()
            _log.info("audit sealed", events=sealed, sequence=head.sequence, link=head.link)
        return sealed
