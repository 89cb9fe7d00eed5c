"""Calls about second factors, well and badly made, with secrets that are to be found nowhere."""

from __future__ import annotations

import time
import uuid
from typing import Any

import httpx
import pyotp

from tests.security_long.canaries import Canaries

Json = dict[str, Any]


async def use_second_factors(rest: httpx.AsyncClient, canaries: Canaries) -> None:
    """Replies that have a secret for its owner are asked for by a client of their own."""
    async with httpx.AsyncClient(base_url=rest.base_url, headers=rest.headers, timeout=40) as owner:
        user = f"user_{uuid.uuid4().hex}"
        password = canaries.new("password of a user")
        email = f"{user}@private.example.com"
        body = {"userId": user, "email": email, "password": password}
        assert (await rest.post("/auth/register", json=body)).status_code == 201
        signing_in = {"username": user, "password": password}
        session = (await owner.post("/auth/login", json=signing_in)).json()["data"]
        headers = {"authorization": f"Bearer {canaries.add('access token', session['token'])}"}
        canaries.add("refresh token", session["refreshToken"])
        secret = await _secret(owner, headers, canaries)
        codes = await _confirm(owner, headers, secret, canaries)
        await _fail(rest, owner, headers, signing_in, canaries)
        code = {"recoveryCode": codes[0]}
        for status in (200, 401):
            body = {"challengeId": await _challenge(owner, signing_in), **code}
            assert (await owner.post("/auth/second-factor", json=body)).status_code == status
        renewed = await owner.post("/auth/me/recovery-codes", json={}, headers=headers)
        codes = _codes(renewed, canaries)
        for status in (200, 409):
            removed = await rest.post(
                "/auth/me/totp/remove", json={"code": codes[0]}, headers=headers
            )
            assert removed.status_code == status, removed.text
        await _secret(owner, headers, canaries)  # is not confirmed
        await rest.get("/auth/me", headers=headers)
        await rest.get("/audit-events", params={"userId": user})


async def _secret(owner: httpx.AsyncClient, headers: Json, canaries: Canaries) -> str:
    setup = (await owner.post("/auth/me/totp", json={}, headers=headers)).json()["data"]
    canaries.add("uri of an app", setup["uri"])
    return canaries.add("secret of an app", setup["secret"])


async def _confirm(
    owner: httpx.AsyncClient, headers: Json, secret: str, canaries: Canaries
) -> list[str]:
    body = {"code": pyotp.TOTP(secret).at(int(time.time()))}
    return _codes(await owner.post("/auth/me/totp/confirm", json=body, headers=headers), canaries)


def _codes(reply: httpx.Response, canaries: Canaries) -> list[str]:
    codes: list[str] = reply.json()["data"]["recoveryCodes"]
    return [canaries.add("recovery code", code) for code in codes]


async def _challenge(owner: httpx.AsyncClient, signing_in: Json) -> str:
    data = (await owner.post("/auth/login", json=signing_in)).json()["data"]
    return str(data["challenge"]["challengeId"])


async def _fail(
    rest: httpx.AsyncClient,
    owner: httpx.AsyncClient,
    headers: Json,
    signing_in: Json,
    canaries: Canaries,
) -> None:
    challenge_id = await _challenge(owner, signing_in)
    new = canaries.new
    wrong: list[tuple[int, Json]] = [
        (401, {"recoveryCode": new("recovery code")}),
        (401, {"challengeId": new("challenge"), "recoveryCode": new("recovery code")}),
        (400, {"recoveryCode": [new("recovery code")]}),
        (400, {"recoveryCode": new("recovery code") * 3}),
        (400, {"totp": new("code")}),
        (400, {"totp": "123456", "recoveryCode": new("recovery code")}),
    ]
    for status, sent in wrong:
        body = {"challengeId": challenge_id, **sent}
        reply = await rest.post("/auth/second-factor", json=body)
        assert reply.status_code == status, reply.text
    for path, status, body in (
        ("/auth/me/totp/remove", 401, {"code": new("code")}),
        ("/auth/me/totp/confirm", 400, {"code": new("code")}),
        ("/auth/reauthenticate", 401, {"password": new("password")}),
        ("/auth/reauthenticate", 401, {"challengeId": new("challenge"), "code": "123456"}),
        ("/auth/reauthenticate", 400, {"challengeId": new("challenge"), "code": new("code")}),
    ):
        reply = await rest.post(path, json=body, headers=headers)
        assert reply.status_code == status, (path, reply.text)
