"""The questions that sessions ask other parts of identity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from server.core.principals import Role
from server.domains.identity.sessions.model import LoginSession
from server.storage.driver import ClientSession


@dataclass(frozen=True, slots=True)
class Owner:
    """The facts that a session copies of its user."""

    user_id: str
    role: Role


class Owners(Protocol):
    async def lock(self, user: str, transaction: ClientSession) -> Owner | None:
        """The active user of a `User.id`, who then cannot change until the transaction ends; else None."""


class Revocations(Protocol):
    async def revoke_sessions(
        self, session_ids: Sequence[str], user: str, transaction: ClientSession
    ) -> None:
        """Let the access tokens of sessions of one user hold no more."""

    def announce(self, user: str) -> None:
        """That has been committed: let it hold on this host at once."""


class ReuseNotices(Protocol):
    async def session_reused(self, session: LoginSession, transaction: ClientSession) -> None:
        """Notify the owner that somebody else may have had a session, which was ended."""


class LastSeen(Protocol):
    """When users were last seen, which outlives their sessions."""

    async def note_seen(self, seen: Mapping[str, datetime]) -> None:
        """Users, by `User.id`, were seen at these moments."""

    async def count_seen(self, since: Sequence[datetime]) -> list[int]:
        """How many users have been seen after each of these moments."""
