"""The connectors in the export of a user (kernel.UserExporter)."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from server.core.pages import PageRequest
from server.domains.connectors.connections.store import ConnectorStore
from server.domains.connectors.records.store import RecordStore, StoredRecord

PAGE = 500


@dataclass(frozen=True, slots=True)
class ExportedRecord:
    connector_id: str
    record: StoredRecord


class ConnectorExport:
    def __init__(self, connectors: ConnectorStore, records: RecordStore) -> None:
        self._connectors = connectors
        self._records = records

    async def export(self, user_id: str) -> AsyncGenerator[tuple[str, Any], None]:
        """Each `connector`, followed by each `record` of it."""
        for connector in await self._connectors.of_user(user_id):
            yield "connector", connector
            token = None
            # Looked up for each page: the records may be erased at any time, and with them the user.
            while (current := await self._connectors.get(connector.id)) is not None:
                wanted = PageRequest(page_token=token, limit=PAGE)
                page, token = await self._records.page(current.records_id, None, wanted)
                for record in page:
                    yield "record", ExportedRecord(connector.id, record)
                if token is None:
                    break
