"""Refreshing: a refresh token is given back for its successor, in one command of MongoDB.

A session has the counter of its newest token, which moves the counter on. The token before that gets the
same successor again, for a short while or with the idempotency key that made it: browser tabs and lost
replies need that. Any other token that is behind was given back before, so somebody else has had it: the
session ends.
"""

import hmac
from datetime import datetime, timedelta

import structlog

from server.core.clock import Clock
from server.core.errors import SessionEnded, Unavailable
from server.core.events import Event
from server.domains.identity.sessions import metrics
from server.domains.identity.sessions.dependencies import ReuseNotices
from server.domains.identity.sessions.model import Caller, LoginSession, Refreshed, Rotation
from server.domains.identity.sessions.refresh_tokens import RefreshTokens
from server.domains.identity.sessions.service import SessionService
from server.domains.identity.sessions.store import SessionStore
from server.domains.identity.settings import IdentitySettings
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.identity.sessions")


class SessionRefresher:
    def __init__(
        self,
        changes: RecordedChanges,
        store: SessionStore,
        tokens: RefreshTokens,
        sessions: SessionService,
        notices: ReuseNotices,
        settings: IdentitySettings,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._store = store
        self._tokens = tokens
        self._sessions = sessions
        self._notices = notices
        self._clock = clock
        self._life = timedelta(minutes=settings.refresh_token_expire_minutes)
        self._reuse = timedelta(seconds=settings.refresh_reuse_seconds)

    async def refresh(self, token: str, key: str | None, caller: Caller) -> Refreshed:
        """The successor of a refresh token. `key` is the call's idempotency key.

        Raises Unauthenticated for a token that was not made here, which harms no session; SessionEnded; and
        Unavailable for one that should be given back again.
        """
        session_id, counter = self._tokens.read(token)
        digest = self._tokens.key_digest(session_id, key) if key else None
        now = self._clock.now()
        rotation = Rotation(now, now + self._life, digest, caller)
        rotated = await self._store.rotate(session_id, counter, rotation)
        if rotated is not None:
            return self._refreshed(rotated, counter + 1, now, repeated=False)
        session = await self._store.get(session_id)
        if not session.is_live(now) or session.counter is None or session.counter < counter:
            # The last is of a token that is newer than a database that was restored.
            raise SessionEnded
        if session.counter == counter:
            raise Unavailable  # it came to be the newest between the two commands
        if session.counter == counter + 1 and self._may_repeat(session, digest, now):
            return self._refreshed(session, counter + 1, now, repeated=True)
        await self._end_reused(session)
        raise SessionEnded

    def _refreshed(
        self, session: LoginSession, counter: int, at: datetime, *, repeated: bool
    ) -> Refreshed:
        _log.info(
            "session refreshed", user_id=session.user_id, session_id=session.id, repeated=repeated
        )
        return Refreshed(session, self._tokens.make(session.id, counter), at, repeated)

    def _may_repeat(self, session: LoginSession, digest: bytes | None, now: datetime) -> bool:
        """Whether a call may have the newest token of a session again, with the one before it."""
        if digest is not None and hmac.compare_digest(digest, session.rotation_key or b""):
            return True
        return session.rotated_at is not None and now <= session.rotated_at + self._reuse

    async def _end_reused(self, session: LoginSession) -> None:
        """End it and report it, once however many calls give an old token back.

        An old token stays one, so the transaction need not look at the counter again.
        """

        async def work(transaction: ClientSession) -> LoginSession | None:
            ended = await self._sessions.end([session.id], "reused", transaction)
            if not ended:
                return None
            await self._notices.session_reused(session, transaction)
            return session

        event = Event("session.reused", session.user_id)
        if await self._changes.make(work, lambda _: event, None) is not None:
            self._sessions.announce(session.user)
            metrics.REUSED.inc()
            _log.warning("refresh token reused", user_id=session.user_id, session_id=session.id)
