"""The export of everything that Finlink keeps of a user."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from server.core.events import Event
from server.kernel import Exported, UserExporter, Users
from server.storage.changes import RecordedChanges

_log = structlog.stdlib.get_logger("finlink.exports")


@dataclass(frozen=True)
class ExportService:
    _changes: RecordedChanges
    _users: Users
    _exporters: Sequence[UserExporter]  # in the order in which callers get what they have

    async def export(self, user_id: str) -> AsyncGenerator[Exported, None]:
        """Everything kept of the user. The audit trail records the export before its first item.

        Raises UserNotFound, also at the end if the user was deleted meanwhile.
        """
        identity = await self._users.identity(user_id)
        await self._changes.record(Event("user.exported", user_id))
        _log.info("user export begun", user_id=user_id)
        for exporter in self._exporters:
            async with aclosing(exporter.export(user_id)) as parts:
                async for part in parts:
                    yield part
        await self._users.identity(user_id, expected=identity)
