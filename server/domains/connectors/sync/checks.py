"""Checks platform sessions: renews them before they end, and finds out which have ended.

So that a connector shows the true state between its syncs as well, and if it has none.
"""

import asyncio
import random
from datetime import timedelta

import structlog

from server.domains.connectors.connections.renewal import SessionRenewal
from server.domains.connectors.model import Connector
from server.domains.connectors.sync.store import SyncStore
from server.observability.logging import cause_of

_log = structlog.stdlib.get_logger("finlink.sync")

AT_A_TIME = 5
# How long until a session is checked again if the platform, or this worker, was away; longer than one
# attempt takes.
LEASE = timedelta(seconds=60)
JITTER = 0.25


class SessionChecks:
    def __init__(self, syncs: SyncStore, renewal: SessionRenewal) -> None:
        self._syncs = syncs
        self._renewal = renewal

    async def check_some(self) -> bool:
        """Check the few sessions that have waited longest; False if none is due."""
        claimed: list[Connector] = []
        while len(claimed) < AT_A_TIME:
            lease = LEASE * (1 + random.uniform(0, JITTER))  # noqa: S311 - not all come at once
            connector = await self._syncs.claim_check(lease)
            if connector is None:
                break
            claimed.append(connector)
        await asyncio.gather(*(self._check(connector) for connector in claimed))
        return bool(claimed)

    async def _check(self, connector: Connector) -> None:
        try:
            await self._renewal.check(connector)
        except Exception as error:  # noqa: BLE001 - of one connector; the lease brings it again
            _log.warning("cannot check a session", connector_id=connector.id, **cause_of(error))
