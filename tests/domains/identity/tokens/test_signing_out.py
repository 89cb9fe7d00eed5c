"""Signing out with an access token that does not hold any more."""

from __future__ import annotations

from typing import Any, cast

from server.domains.identity.signin.service import SignInService
from server.domains.identity.tokens.key_rotation import KeyRotation
from server.domains.identity.tokens.store import SigningKeyStore
from tests.domains.identity.tokens.workers import ASHA, RING, TurnableClock, Worker


class Ended:
    """The sessions that were signed out."""

    def __init__(self) -> None:
        self.by: list[str] = []

    async def log_out(self, session_id: str) -> None:
        self.by.append(session_id)

    async def log_out_by(self, refresh_token: str) -> None:
        self.by.append(refresh_token)


async def test_a_dropped_key_keeps_nobody_in(
    hosts: tuple[Worker, Worker, Worker], clock: TurnableClock
) -> None:
    """The token says nothing then, but the refresh token beside it does."""
    one, _, elsewhere = hosts
    sessions, unused = Ended(), cast("Any", None)
    token = await one.issue()
    await SignInService(one.tokens, cast("Any", sessions), unused, unused).log_out(
        token, None, None
    )
    assert sessions.by == [ASHA.session_id]
    database, changes = one.kernel.database, one.kernel.changes
    rotation = KeyRotation(SigningKeyStore(database, RING), one.revoke, changes, "ES256", clock)
    await rotation.replace()
    await elsewhere.tokens.read()
    service = SignInService(elsewhere.tokens, cast("Any", sessions), unused, unused)
    await service.log_out(token, None, "flr_1")
    assert sessions.by == [ASHA.session_id, "flr_1"]
