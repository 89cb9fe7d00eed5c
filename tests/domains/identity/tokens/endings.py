"""Ways in which what a token is about ends, and the errors of its bearer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from server.core.errors import SessionEnded, TokenExpired
from server.storage.driver import ClientSession
from tests.domains.identity.tokens.workers import ASHA, Worker

RAVI = replace(ASHA, user="665f1f77bcf86cd799439022", user_id="ravi", session_id="s-2")
LONG = 3600.0
Ending = Callable[[Worker, ClientSession], Awaitable[None]]


async def end_session(of: Worker, session: ClientSession) -> None:
    await of.revoke.end_sessions([ASHA.session_id], session)


async def end_user(of: Worker, session: ClientSession) -> None:
    await of.revoke.end_user(ASHA.user, session)


async def expire_tokens(of: Worker, session: ClientSession) -> None:
    await of.revoke.expire_tokens(ASHA.user, session)


ENDINGS: Sequence[tuple[Ending, type[Exception]]] = [
    (end_session, SessionEnded), (end_user, SessionEnded), (expire_tokens, TokenExpired),
]  # fmt: skip


async def made(by: Worker, ending: Ending) -> None:
    with by.revoke.announced(ASHA.user):
        await by.kernel.database.transact(partial(ending, by))
