"""Calls about phones, well and badly made: a number that nobody has yet is found nowhere, as any secret."""

from __future__ import annotations

from typing import Any

import httpx

from tests.e2e.phones import new_number
from tests.security_long.canaries import Canaries

Json = dict[str, Any]


async def use_phones(rest: httpx.AsyncClient, canaries: Canaries) -> None:
    number = new_number()
    canaries.add("number", number.removeprefix("+"))
    new = canaries.new
    bad: list[tuple[int, str, Json]] = [
        (200, "send-otp", {"phoneNumber": number}),
        (429, "send-otp", {"phoneNumber": number}),
        (400, "send-otp", {"phoneNumber": f"{number}{number[1:]}"}),
        (400, "send-otp", {"phoneNumber": new("number")}),
        (401, "verify-otp", {"challengeId": new("challenge"), "code": "123456"}),
        (400, "verify-otp", {"challengeId": new("challenge"), "code": new("code")}),
        (400, "second-factor", {"challengeId": new("challenge"), "dateOfBirth": new("birth")}),
        (401, "second-factor", {"challengeId": new("challenge"), "dateOfBirth": "1990-04-23"}),
    ]
    for status, path, sent in bad:
        body = {**sent, "session": "token"} if path == "verify-otp" else sent
        reply = await rest.post(f"/auth/{path}", json=body)
        assert reply.status_code == status, (path, reply.text)
