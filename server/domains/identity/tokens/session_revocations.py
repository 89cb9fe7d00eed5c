"""Implements `sessions.dependencies.Revocations`."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.domains.identity.tokens.revocations import RevocationWriter
from server.storage.driver import ClientSession


@dataclass(frozen=True)
class SessionRevocations:
    _writer: RevocationWriter

    async def revoke_sessions(
        self, session_ids: Sequence[str], user: str, transaction: ClientSession
    ) -> None:
        await self._writer.end_sessions(session_ids, transaction)

    def announce(self, user: str) -> None:
        self._writer.announce(user)
