"""A second factor is added, needed, renewed and removed."""

from __future__ import annotations

import asyncio
import re

import httpx
import pyotp

from tests.e2e.factor_steps import (
    actions,
    challenged,
    confirmed,
    entered,
    me,
    protected,
    started,
    turn_on,
    verify,
)
from tests.e2e.identity_steps import bearer, login, refused, signed_in
from tests.e2e.mails import mail
from tests.stack import Stack

RECOVERY_CODE = re.compile(r"[A-Z2-7]{24}")


async def test_a_second_factor_is_added_and_then_needed(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    session = await signed_in(later, new_id)
    other = await login(later, new_id)
    reply = await later.post("/auth/me/totp", json={}, headers=bearer(session))
    assert (reply.status_code, reply.headers["cache-control"]) == (200, "no-store")
    setup = reply.json()["data"]
    assert re.fullmatch(r"[A-Z2-7]{32}", setup["secret"])
    shown = pyotp.parse_uri(setup["uri"])
    assert (shown.secret, shown.issuer, shown.name) == (
        setup["secret"],
        "Finlink",
        f"{new_id}@example.com",
    )
    # It counts for nothing until it was confirmed.
    await login(later, new_id)
    assert (await me(later, session))["mfaEnabled"] is False
    app = await started(later, late, session)  # in place of the first
    old = {"code": pyotp.TOTP(setup["secret"]).at(0)}
    for body in (old, {"code": app.wrong()}):
        denied = await later.post("/auth/me/totp/confirm", json=body, headers=bearer(session))
        refused(denied, 400, "CODE_INVALID")
    codes = await confirmed(later, app, session)
    assert len(set(codes)) == 10
    assert all(RECOVERY_CODE.fullmatch(code) for code in codes)

    assert (await me(later, session))["mfaEnabled"] is True
    assert (await later.get(f"/users/{new_id}")).json()["data"]["mfaEnabled"] is True
    refused(await later.get("/auth/me", headers=bearer(other)), 401, "SESSION_ENDED")
    for path, body in (("", {}), ("/confirm", {"code": app.code()})):
        again = await later.post(f"/auth/me/totp{path}", json=body, headers=bearer(session))
        refused(again, 409, "TOTP_ACTIVE")

    body = {"username": new_id, "password": "correct horse battery"}
    reply = await later.post("/auth/login", json=body)
    assert (reply.status_code, reply.json()["message"]) == (200, "Second factor required")
    challenge = reply.json()["data"]["challenge"]
    assert challenge["methods"] == ["totp", "recovery_code"]
    code = app.code()
    reply = await verify(later, challenge["challengeId"], totp=code)
    assert (reply.status_code, reply.json()["message"]) == (200, "Signed in")
    data = reply.json()["data"]
    assert data["user"]["mfaEnabled"] is True
    assert data["deviceToken"].startswith("fld_")
    assert (await me(later, data))["session"]["amr"] == ["pwd", "totp"]
    used = await verify(later, await challenged(later, new_id), totp=code)
    wrong = await verify(later, await challenged(later, new_id), totp=app.wrong())
    unknown = await verify(later, "x" * 43, totp=app.code())
    errors = [refused(each, 401, "LOGIN_FAILED") for each in (used, wrong, unknown)]
    assert len({error["message"] for error in errors}) == 1
    await mail(late, f"{new_id}@example.com", "A second factor was added")
    assert "user.totp_added" in await actions(later, new_id)


async def test_the_code_that_confirms_does_not_sign_in(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    session = await signed_in(later, new_id)
    app = await started(later, late, session)
    body = {"code": app.code()}
    done = await later.post("/auth/me/totp/confirm", json=body, headers=bearer(session))
    assert done.status_code == 200, done.text
    reply = await verify(later, await challenged(later, new_id), totp=body["code"])
    refused(reply, 401, "LOGIN_FAILED")


async def test_an_app_is_confirmed_within_ten_minutes(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    session = await signed_in(later, new_id)
    app = await started(later, late, session)
    turn_on(late, minutes=9)
    again = await login(later, new_id)  # so that the login is recent
    turn_on(late, minutes=1)
    body = {"code": app.code()}
    denied = await later.post("/auth/me/totp/confirm", json=body, headers=bearer(again))
    refused(denied, 400, "CODE_INVALID")
    app = await started(later, late, again)
    turn_on(late, minutes=8)
    await confirmed(later, app, again)


async def test_a_recovery_code_is_good_once(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    session, app, codes = await protected(later, late, new_id)
    typed = "-".join(re.findall("....", codes[0].lower()))
    data = await entered(later, new_id, recoveryCode=typed)
    assert (await me(later, data))["session"]["amr"] == ["pwd", "recovery_code"]
    for code in (codes[0], typed, "A" * 24):
        reply = await verify(later, await challenged(later, new_id), recoveryCode=code)
        refused(reply, 401, "LOGIN_FAILED")
    await mail(late, f"{new_id}@example.com", "A recovery code was used")
    assert (await actions(later, new_id)).count("user.recovery_code_used") == 1

    renewed = await later.post("/auth/me/recovery-codes", json={}, headers=bearer(session))
    assert renewed.status_code == 200, renewed.text
    others = renewed.json()["data"]["recoveryCodes"]
    assert not set(others) & set(codes)
    reply = await verify(later, await challenged(later, new_id), recoveryCode=codes[1])
    refused(reply, 401, "LOGIN_FAILED")
    await entered(later, new_id, recoveryCode=others[1])
    await entered(later, new_id, totp=app.code())
    await mail(late, f"{new_id}@example.com", "Your recovery codes were renewed")


async def test_a_second_factor_is_removed_with_a_code_of_it(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    session, app, codes = await protected(later, late, new_id)
    for code in (app.wrong(), "A" * 24):
        body = {"code": code}
        denied = await later.post("/auth/me/totp/remove", json=body, headers=bearer(session))
        refused(denied, 401, "LOGIN_FAILED")
    body = {"code": app.code()}
    removed = await later.post("/auth/me/totp/remove", json=body, headers=bearer(session))
    assert (removed.status_code, removed.json()["message"]) == (200, "Second factor removed")
    assert (await me(later, session))["mfaEnabled"] is False
    assert "token" in await login(later, new_id)
    await mail(late, f"{new_id}@example.com", "Your second factor was removed")
    assert "user.totp_removed" in await actions(later, new_id)
    for path, sent in (("totp/remove", {"code": codes[0]}), ("recovery-codes", {})):
        again = await later.post(f"/auth/me/{path}", json=sent, headers=bearer(session))
        refused(again, 409, "TOTP_NOT_ACTIVE")

    # Who has lost the app removes it with a recovery code, and may add another.
    app = await started(later, late, session)
    codes = await confirmed(later, app, session)
    body = {"code": codes[9]}
    removed = await later.post("/auth/me/totp/remove", json=body, headers=bearer(session))
    assert removed.status_code == 200, removed.text
    assert "user.recovery_code_used" in await actions(later, new_id)
    await started(later, late, session)


async def test_of_two_changes_at_once_one_is_made(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    session = await signed_in(later, new_id)
    app = await started(later, late, session)
    body, headers = {"code": app.code()}, bearer(session)
    replies = await asyncio.gather(
        *(later.post("/auth/me/totp/confirm", json=body, headers=headers) for _ in range(2))
    )
    assert sorted(reply.status_code for reply in replies) == [200, 409]
    (codes,) = [each.json()["data"]["recoveryCodes"] for each in replies if each.status_code == 200]
    await entered(later, new_id, recoveryCode=codes[0])
    body = {"code": app.code()}
    replies = await asyncio.gather(
        *(later.post("/auth/me/totp/remove", json=body, headers=headers) for _ in range(2))
    )
    assert [reply.status_code for reply in replies].count(200) == 1
    assert (await actions(later, new_id)).count("user.totp_removed") == 1


async def test_what_has_no_second_factor_is_named(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    session = await signed_in(later, new_id)
    for code in ("12345", "1234567", "12345a", ""):
        reply = await later.post(
            "/auth/me/totp/confirm", json={"code": code}, headers=bearer(session)
        )
        error = refused(reply, 400, "VALIDATION_ERROR")
        assert [each["field"] for each in error["details"]] == ["code"]
    reply = await later.post(
        "/auth/me/totp/confirm", json={"code": "123456"}, headers=bearer(session)
    )
    refused(reply, 400, "CODE_INVALID")  # nothing was started
