"""An admin removes the second factor of a user who has lost it."""

from __future__ import annotations

from typing import Any

import grpc
import httpx
from finlink.identity.v1 import user_admin_pb2, user_admin_service_pb2_grpc

from tests.e2e.connector_steps import database
from tests.e2e.factor_steps import actions, challenged, me, protected, verify
from tests.e2e.identity_steps import bearer, login, refused, signed_in, with_role
from tests.e2e.mails import mail
from tests.stack import Stack


async def test_an_admin_removes_the_second_factor_of_a_user(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    session, app, codes = await protected(later, late, new_id)
    path = f"/users/{new_id}/mfa"
    async with database(late) as documents:
        chief = bearer(await with_role(later, documents, f"{new_id}_chief", "admin"))
        helper = bearer(await with_role(later, documents, f"{new_id}_helper", "moderator"))
        for headers in (helper, bearer(session)):
            refused(await later.delete(path, headers=headers), 403, "PERMISSION_DENIED")
        challenge_id = await challenged(later, new_id)
        for _ in range(2):
            removed = await later.delete(path, headers=chief)
            assert (removed.status_code, removed.json()["message"]) == (
                200,
                "Second factor removed",
            )
        nobody = await later.delete(f"/users/{new_id}_none/mfa", headers=chief)
        refused(nobody, 404, "USER_NOT_FOUND")
        stored = await documents["credentials"].find_one({"userId": new_id})
        assert stored is not None
        assert not {"totp", "recoveryCodes"} & stored.keys()
    assert (await me(later, session))["mfaEnabled"] is False
    refused(await verify(later, challenge_id, totp=app.code()), 401, "LOGIN_FAILED")
    refused(await verify(later, challenge_id, recoveryCode=codes[0]), 401, "LOGIN_FAILED")
    assert "token" in await login(later, new_id)
    await mail(late, f"{new_id}@example.com", "Your second factor was removed")
    assert (await actions(later, new_id)).count("user.totp_removed") == 1


async def test_over_grpc(
    rest: httpx.AsyncClient, stack: Stack, channel: grpc.aio.Channel, new_id: str
) -> None:
    await signed_in(rest, new_id)
    async with database(stack) as documents:
        chief = await with_role(rest, documents, f"{new_id}_chief", "admin")
    staff: Any = user_admin_service_pb2_grpc.UserAdminServiceStub(channel)
    reply = await staff.RemoveUserMfa(
        user_admin_pb2.RemoveUserMfaRequest(user_id=new_id),
        metadata=(("authorization", bearer(chief)["authorization"]),),
    )
    assert reply.message == "Second factor removed"
