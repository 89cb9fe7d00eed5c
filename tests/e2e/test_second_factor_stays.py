"""A second factor stays, whatever its user does but remove it."""

from __future__ import annotations

import httpx

from tests.e2e.factor_steps import (
    NEW,
    actions,
    challenged,
    entered,
    me,
    protected,
    reset,
    verified,
    verify,
)
from tests.e2e.identity_steps import PASSWORD, Json, bearer, login
from tests.stack import Stack


async def test_a_second_factor_survives_a_reset_of_a_verified_address(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    _, app, _ = await protected(later, late, new_id)
    await verified(later, new_id)
    await reset(later, late, new_id)
    challenge_id = await challenged(later, new_id, password=NEW)
    reply = await verify(later, challenge_id, totp=app.code())
    assert (await me(later, reply.json()["data"]))["mfaEnabled"] is True
    assert "user.totp_removed" not in await actions(later, new_id)


async def test_a_second_factor_survives_refreshing(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    _, app, _ = await protected(later, late, new_id)
    session = await entered(later, new_id, totp=app.code())
    for _ in range(3):
        body = {"refreshToken": session["refreshToken"]}
        session = (await later.post("/auth/refresh", json=body)).json()["data"]
        assert (await me(later, session))["session"]["amr"] == ["pwd", "totp"]
    assert "challenge" in await login(later, new_id)


async def test_whatever_a_user_does_the_next_login_needs_both_factors(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    session, app, codes = await protected(later, late, new_id)
    await verified(later, new_id)
    headers, left = bearer(session), iter(codes)
    password = {"password": PASSWORD}
    change = {"currentPassword": PASSWORD, "newPassword": NEW}
    refresh = {"refreshToken": session["refreshToken"]}
    status = f"/users/{new_id}/status"

    async def call(verb: str, path: str, body: Json) -> None:
        sent = None if verb == "DELETE" else body
        reply = await later.request(verb, path, headers=headers, json=sent)
        assert reply.status_code == 200, reply.text

    for verb, path, body in (
        ("POST", "/auth/refresh", refresh),
        ("POST", "/auth/reauthenticate", {"totp": app.code()}),
        ("POST", "/auth/reauthenticate", password),
        ("PUT", "/auth/me", {"city": "Pune"}),
        ("DELETE", "/auth/sessions", {}),
        ("PUT", "/auth/me/password", change),
        ("POST", "/auth/logout", {}),
        ("PUT", status, {"status": "suspended"}),
        ("PUT", status, {"status": "active"}),
    ):
        if path == status:
            headers = {}  # by staff
        await call(verb, path, body)
        if body == change:
            password = {"password": NEW}
        if body != {"status": "suspended"}:
            reply = await verify(
                later, await challenged(later, new_id, **password), recoveryCode=next(left)
            )
            assert reply.status_code == 200, (path, reply.text)
            assert reply.json()["data"]["user"]["mfaEnabled"] is True
    await reset(later, late, new_id)
    await challenged(later, new_id, password=NEW)
