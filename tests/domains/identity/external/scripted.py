"""A provider that says whatever a test wants, over HTTP of this machine."""

from __future__ import annotations

import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from aiohttp import web
from joserfc import jwk, jws

Json = dict[str, Any]


def new_key(kid: str, kind: str = "EC") -> jwk.Key:
    parameters: jwk.KeyParameters = {"kid": kid, "use": "sig"}
    if kind == "RSA":
        return jwk.RSAKey.generate_key(2048, parameters)
    if kind == "OKP":
        return jwk.OKPKey.generate_key("Ed25519", parameters)
    return jwk.ECKey.generate_key("P-256", parameters)


async def _nothing() -> None:
    return


@dataclass
class Scripted:
    """`reply` is what `/token` returns next, `said` what comes instead of a document by its path."""

    issuer: str
    key: jwk.Key = field(default_factory=lambda: new_key("first"))
    algorithm: str = "ES256"
    metadata: Json = field(default_factory=dict)
    said: dict[str, web.Response | Json] = field(default_factory=dict)
    reply: Json | None = None
    # Done before `/token` replies.
    meanwhile: Callable[[], Awaitable[None]] = _nothing
    # Paths in the order in which they were asked for, and the forms and headers of `/token`.
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def signs(self, login: str, **claims: Any) -> None:
        """Let the next tokens have an ID token of these claims; None takes one away. `login`: its nonce."""
        self.reply = {"access_token": "access", "id_token": self.id_token(login, **claims)}

    def id_token(
        self, login: str, *, header: Json | None = None, key: jwk.Key | None = None, **claims: Any
    ) -> str:
        now = int(time.time())
        given = {
            "iss": self.issuer, "aud": "finlink", "sub": "somebody", "nonce": login,
            "iat": now, "exp": now + 300, **claims,
        }  # fmt: skip
        content = {name: value for name, value in given.items() if value is not None}
        head = {"alg": self.algorithm, "kid": self.key.kid, **(header or {})}
        head = {name: value for name, value in head.items() if value is not None}
        payload = msgspec.json.encode(content)
        return jws.serialize_compact(head, payload, key or self.key, algorithms=[head["alg"]])

    def proves(self, authorization_url: str) -> bool:
        """Whether the last form for tokens has the verifier of what was asked for, and Finlink's secret."""
        form, headers = self.forms[-1], self.headers[-1]
        query = parse_qs(urlsplit(authorization_url).query)
        digest = sha256(form["code_verifier"].encode()).digest()
        challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
        assert b64decode(headers["authorization"].removeprefix("Basic ")).startswith(b"finlink:")
        assert form["redirect_uri"] == query["redirect_uri"][0]
        assert query["code_challenge_method"] == ["S256"]
        return query["code_challenge"] == [challenge]

    async def _discovery(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "userinfo_endpoint": f"{self.issuer}/user",
                "id_token_signing_alg_values_supported": [self.algorithm, "HS256", "none"],
                **self.metadata,
            }
        )

    async def _tokens(self, _: web.Request) -> web.Response:
        await self.meanwhile()
        if self.reply is None:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response(self.reply)

    async def _keys(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

    async def _user(self, _: web.Request) -> web.Response:
        return web.json_response({"sub": "somebody"})

    async def respond(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.path == "/token":
            form = await request.post()
            self.forms.append({name: str(value) for name, value in form.items()})
            self.headers.append({name.lower(): value for name, value in request.headers.items()})
        said = self.said.get(request.path)
        if isinstance(said, web.Response):
            return web.Response(status=said.status, body=said.body, headers=said.headers)
        if said is not None:
            return web.json_response(said)
        known = {
            "/.well-known/openid-configuration": self._discovery,
            "/token": self._tokens,
            "/keys": self._keys,
            "/user": self._user,
        }
        serve = known.get(request.path)
        return web.Response(status=404) if serve is None else await serve(request)


@asynccontextmanager
async def scripted(port: int = 0) -> AsyncIterator[Scripted]:
    """One that listens at a port, or at any that is free."""
    provider = Scripted("")
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", provider.respond)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    provider.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        await runner.cleanup()
