"""Logins at an outside provider, well and badly made, with secrets that are to be found nowhere.

The provider is scripted, so that what it is sent and sends is known: the code, the verifier, its tokens.
"""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from aiohttp import web

from tests.domains.identity.external.scripted import Scripted, scripted
from tests.e2e.external_steps import KEY
from tests.providers import REDIRECT
from tests.security_long.canaries import Canaries

Json = dict[str, Any]
NAME = "outside"
START, COMPLETE = f"/auth/external/{NAME}/start", f"/auth/external/{NAME}/complete"


async def use_provider(rest: httpx.AsyncClient, canaries: Canaries, port: int) -> None:
    """Replies that have a secret for its owner are asked for by a client of their own."""
    async with (
        scripted(port) as provider,
        httpx.AsyncClient(base_url=rest.base_url, headers=rest.headers, timeout=40) as owner,
    ):
        provider.key = KEY
        logins = Logins(provider, rest, owner, canaries)
        sub = new_sub()
        for _ in range(2):  # a user who is made, and one who comes again
            await logins.succeed(sub)
        await logins.fail()
        await rest.get("/audit-events", params={"limit": 100})


def new_sub() -> str:
    """A `sub`, which is stored: it says who it is, as a user's id does."""
    return f"sub_{uuid.uuid4().hex}"


class Logins:
    def __init__(
        self,
        provider: Scripted,
        rest: httpx.AsyncClient,
        owner: httpx.AsyncClient,
        canaries: Canaries,
    ) -> None:
        self._provider, self._rest, self._owner = provider, rest, owner
        self._canaries = canaries

    async def succeed(self, sub: str) -> None:
        body, nonce = await self._begin()
        self._speak(nonce, sub)
        self._provider.said["/user"] = {"sub": sub, "email": f"{sub}@private.example.com"}
        reply = await self._owner.post(COMPLETE, json=body)
        assert reply.status_code == 200, reply.text
        session = reply.json()["data"]
        self._canaries.add("access token", session["token"])
        self._canaries.add("refresh token", session["refreshToken"])
        self._learn_form(body["code"])
        again = await self._rest.post(COMPLETE, json=body)
        assert again.status_code == 401, again.text

    async def fail(self) -> None:
        """All that callers and a provider do wrong, which gets into replies and the log."""
        new = self._canaries.new
        body, nonce = await self._begin()
        wrongs: list[tuple[int, Json]] = [
            (401, {"loginSecret": new("login secret")}),
            (401, {"state": new("state")}),
            (401, {"iss": f"https://{new('iss')}.example"}),
            (400, {"code": new("code") * 200}),
            (400, {"state": [new("state")]}),
            (400, {"session": new("session")}),
        ]
        for status, wrong in wrongs:
            reply = await self._rest.post(COMPLETE, json={**body, **wrong})
            assert reply.status_code == status, (wrong, reply.text)
        reply = await self._rest.post(START, json={"redirectUri": f"https://{new('x')}.example/"})
        assert reply.status_code == 400, reply.text

        echo = {"error": new("error of a provider"), "error_description": body["code"]}
        answers: list[tuple[int, str, Any]] = [
            (401, "/token", web.json_response({**echo, "error": "invalid_grant"}, status=400)),
            (401, "/token", web.json_response(echo, status=401)),
            (401, "/token", web.Response(body=new("no JSON").encode())),
            (401, "/token", {"access_token": new("access token of a provider")}),
            (401, "/token", self._tokens(nonce, token=new("ID token of a provider"))),
            (401, "/token", self._tokens(new("nonce"))),
            (503, "/token", web.Response(status=500, body=new("page").encode())),
            (401, "/user", web.Response(status=403, body=new("page").encode())),
            (401, "/user", {"sub": new("sub")}),
        ]
        for status, path, answer in answers:
            body, nonce = await self._begin()
            self._speak(nonce, new_sub())
            self._provider.said = {path: answer}
            reply = await self._rest.post(COMPLETE, json=body)
            assert reply.status_code == status, (path, reply.text)
            self._learn_form(body["code"])
        self._provider.said = {}

    async def _begin(self) -> tuple[Json, str]:
        """A login that has begun: what completes it, and its nonce."""
        reply = await self._owner.post(START, json={"redirectUri": REDIRECT})
        assert reply.status_code == 200, reply.text
        begun = reply.json()["data"]
        query = parse_qs(urlsplit(begun["authorizationUrl"]).query)
        (nonce,) = query["nonce"]
        self._canaries.add("nonce", nonce)
        self._canaries.add("login secret", begun["loginSecret"])
        self._canaries.add_id("state", begun["state"])
        body = {"state": begun["state"], "loginSecret": begun["loginSecret"]}
        return {**body, "code": self._canaries.new("code of a provider")}, nonce

    def _speak(self, nonce: str, sub: str) -> None:
        """Let the provider give tokens for the next code."""
        self._provider.reply = self._tokens(nonce, sub=sub)

    def _tokens(self, nonce: str, *, sub: str = "nobody", token: str | None = None) -> Json:
        signed = token or self._canaries.add(
            "ID token of a provider", self._provider.id_token(nonce, sub=sub)
        )
        return {
            "access_token": self._canaries.new("access token of a provider"),
            "refresh_token": self._canaries.new("refresh token of a provider"),
            "id_token": signed,
        }

    def _learn_form(self, code: str) -> None:
        """The verifier, which the provider alone is shown, with the code."""
        form = self._provider.forms[-1]
        assert form["code"] == code
        self._canaries.add("verifier", form["code_verifier"])
