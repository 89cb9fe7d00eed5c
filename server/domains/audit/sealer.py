"""Seals the audit trail: one process at a time, a batch at a time, a second behind at most."""

from contextlib import suppress

import structlog

from server.domains.audit.suspicions import Suspicions
from server.storage.audit import BATCH, AuditTrail, HeadChanged
from server.storage.background import Background
from server.storage.driver import Document
from server.storage.leases import LeaseBusy, Leases

_log = structlog.stdlib.get_logger("finlink.audit")

LOOK_EACH = 10 * BATCH  # events; each look reads what was before them, too


class Sealer:
    """`start` it once; `stop` lets a batch that is under way finish."""

    def __init__(self, trail: AuditTrail, leases: Leases) -> None:
        self._trail = trail
        self._suspicions = Suspicions(trail)
        self._leases = leases
        self._background = Background("seal audit events", self.seal)
        self.start = self._background.start
        self.stop = self._background.stop

    async def seal(self) -> int:
        """Seal all there is, unless another process does; how many events it was."""
        sealed = 0
        if not await self._trail.has_unsealed():  # most of the time; the lease would be for nothing
            return sealed
        with suppress(LeaseBusy, HeadChanged):
            async with self._leases.acquire("audit/seal"):
                fresh: list[Document] = []
                more = True
                while more and not self._background.stopping:
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
