"""Steps of tests with second factors: an authenticator app, and logins with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pyotp

from tests.e2e.identity_steps import Json, bearer, login, signed_in
from tests.e2e.mails import mail, token_of
from tests.stack import Stack

STEP = timedelta(seconds=30)
NEW = "an even better battery"  # a password
RESET = "Set a new password"


class App:
    """An authenticator app at the clock of a Finlink that is turned."""

    def __init__(self, stack: Stack, secret: str) -> None:
        self._stack = stack
        self._totp = pyotp.TOTP(secret)
        self._shown = 0

    def code(self) -> str:
        """One that it has not shown before: time goes on to the next, if it must."""
        if self._step() <= self._shown:
            self._stack.turn_clock(self._stack.ahead + STEP)
        self._shown = max(self._step(), self._shown + 1)
        return self._totp.at(self._shown * 30)

    def wrong(self) -> str:
        """One that is wrong now, and will be for some time."""
        near = {self._totp.at((self._step() + offset) * 30) for offset in range(-3, 4)}
        return next(code for code in (f"{number:06}" for number in range(10)) if code not in near)

    def _step(self) -> int:
        return int((datetime.now(UTC) + self._stack.ahead).timestamp()) // 30


def turn_on(stack: Stack, **by: float) -> None:
    """Let it be so much later than it is."""
    stack.turn_clock(stack.ahead + timedelta(**by))


async def started(rest: httpx.AsyncClient, stack: Stack, session: Json) -> App:
    reply = await rest.post("/auth/me/totp", json={}, headers=bearer(session))
    assert reply.status_code == 200, reply.text
    return App(stack, reply.json()["data"]["secret"])


async def confirmed(rest: httpx.AsyncClient, app: App, session: Json) -> list[str]:
    """The recovery codes."""
    body = {"code": app.code()}
    reply = await rest.post("/auth/me/totp/confirm", json=body, headers=bearer(session))
    assert reply.status_code == 200, reply.text
    codes: list[str] = reply.json()["data"]["recoveryCodes"]
    return codes


async def protected(
    rest: httpx.AsyncClient, stack: Stack, user_id: str
) -> tuple[Json, App, list[str]]:
    """A new user with a second factor: the session, the app and the recovery codes."""
    session = await signed_in(rest, user_id)
    app = await started(rest, stack, session)
    return session, app, await confirmed(rest, app, session)


async def challenged(rest: httpx.AsyncClient, user_id: str, **fields: Any) -> str:
    """The challenge of a login with the right password."""
    data = await login(rest, user_id, **fields)
    assert data.keys() == {"challenge"}
    return str(data["challenge"]["challengeId"])


async def verify(
    rest: httpx.AsyncClient, challenge_id: str, headers: Any = None, **code: str
) -> httpx.Response:
    body = {"challengeId": challenge_id, **code}
    return await rest.post("/auth/second-factor", json=body, headers=headers)


async def entered(rest: httpx.AsyncClient, user_id: str, **code: str) -> Json:
    """A session after both factors."""
    reply = await verify(rest, await challenged(rest, user_id), **code)
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["data"])


async def actions(rest: httpx.AsyncClient, user_id: str) -> list[str]:
    """What the audit trail has of a user, newest first."""
    reply = await rest.get("/audit-events", params={"userId": user_id, "limit": 100})
    return [each["action"] for each in reply.json()["data"]["events"]]


async def me(rest: httpx.AsyncClient, session: Json) -> Json:
    reply = await rest.get("/auth/me", headers=bearer(session))
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["data"])


async def reset(rest: httpx.AsyncClient, stack: Stack, user_id: str) -> None:
    """Set the password to `NEW`, with the token of a mail."""
    address = f"{user_id}@example.com"
    await rest.post("/auth/forgot-password", json={"email": address})
    token = token_of(await mail(stack, address, RESET))
    done = await rest.post("/auth/reset-password", json={"token": token, "password": NEW})
    assert done.status_code == 200, done.text


async def verified(rest: httpx.AsyncClient, user_id: str) -> None:
    """Let the address count as the user's."""
    reply = await rest.put(f"/users/{user_id}/email-verified", json={"emailVerified": True})
    assert reply.status_code == 200, reply.text
