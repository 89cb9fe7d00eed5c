"""Secrets that went through Finlink in every way are nowhere in clear; one put there is found."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from finlink.connectors.v1 import connector_service_pb2 as rpc
from finlink.connectors.v1 import session_pb2
from finlink.connectors.v1.connector_service_pb2_grpc import ConnectorServiceStub

from server.core.access import digest, new_key
from server.observability.exposition import FOLDER_SETTING
from server.rpc.middleware import errors as error_step
from tests.chaos.figures import Figures
from tests.e2e import connector_steps as steps
from tests.platforms.addresses import addresses_at
from tests.providers import settings as provider_settings
from tests.sandbox import driver
from tests.sandbox.accounts import Accounts, accounts_at
from tests.security_long import canaries as look
from tests.security_long import provider_calls
from tests.security_long.canaries import Canaries
from tests.security_long.factor_calls import use_second_factors
from tests.security_long.phone_calls import use_phones
from tests.stack import ROOT, Stack, free_ports, running

CREATE = "/finlink.connectors.v1.ConnectorService/CreateConnector"


@dataclass
class Site:
    """A Finlink at DEBUG, its sandbox, and all secrets and answers so far."""

    stack: Stack
    sandbox: Accounts
    memory: Path
    canaries: Canaries
    keys: dict[str, str]  # API keys by scope
    provider_port: int  # where the outside provider is to listen
    # What callers were told, without what they had sent as the name of a field.
    replies: list[tuple[str, bytes]] = field(default_factory=list)
    people: list[str] = field(default_factory=list)  # emails, phone numbers

    async def heard(self, response: httpx.Response) -> None:
        if "text/event-stream" in response.headers.get("content-type", ""):
            return
        body = await response.aread()
        sent = response.request.extensions.get("names", [])
        for url in _login_urls(body):
            self.canaries.add_login_url(url)
        reported = look.without_login_url(body)
        for name in sent:
            reported = reported.replace(name.encode(), b"")
        headers = "\n".join(f"{n}: {v}" for n, v in response.headers.items()).encode()
        what = f"answer to {response.request.method} {response.request.url.path}"
        self.replies.append((what, reported + headers))
        look.tokens_of(self.memory, self.canaries)

    async def scan(self, *, deep: bool) -> list[str]:
        """Where secrets are: `place: what` for each."""
        look.tokens_of(self.memory, self.canaries)
        places = [
            *(await look.documents(self.stack)).items(),
            *look.files(self.stack),
            *self.replies,
            *(await look.metrics(self.stack)).items(),
            *look.command_lines(self.stack).items(),
            *(look.data_files(self.stack) if deep else ()),
        ]
        return [
            f"{place}: {what}"
            for place, content in places
            for what in self.canaries.found(place, content)
        ]


def _login_urls(body: bytes) -> Iterator[str]:
    try:
        reply = json.loads(body)
    except ValueError:
        return
    for part in (reply.get("data"), (reply.get("error") or {}).get("metadata")):
        if isinstance(part, dict) and part.get("loginUrl"):
            yield part["loginUrl"]


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    canaries = Canaries()
    memory = folder / "sandbox.json"
    folder.mkdir(parents=True, exist_ok=True)
    app_key, app_secret = canaries.new("Kite app's key"), canaries.new("Kite app's secret")
    key = secrets.token_hex(32)
    canaries.add_key("ENCRYPTION_KEY", key)
    keys = {scope: canaries.add("API key", new_key()) for scope in ("read", "write")}
    (port,) = free_ports(1)
    approved, secret = f"zerodha.approved={app_key}", f"zerodha.secret={app_secret}"
    options = ("--option", approved, "--option", secret, "--memory", memory, "--control-port", 0)
    with driver.running(*options, *driver.INBOX) as sandbox, accounts_at(sandbox) as accounts:
        settings = {
            "LOG_LEVEL": "DEBUG",
            "WORKERS": "1",
            "ENCRYPTION_KEY": key,
            **addresses_at(sandbox.urls),
            **driver.delivery_at(sandbox),
            **provider_settings({provider_calls.NAME: port}),
            f"OIDC_{provider_calls.NAME.upper()}_CLIENT_SECRET": canaries.new("client secret"),
            "ZERODHA_API_KEY": app_key,
            "ZERODHA_API_SECRET": app_secret,
            "API_KEYS": ",".join(f"{s}-key:{s}:{digest(key)}" for s, key in keys.items()),
        }
        with running(folder, **settings) as stack:
            yield Site(stack, accounts, memory, canaries, keys, port)


def make_key(at: Site, name: str, scope: str) -> str:
    """An API key, made by the command."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MONGO")}
    (secret,) = (v for v, what in at.canaries.values.items() if what == "ENCRYPTION_KEY")
    outcome = subprocess.run(
        [sys.executable, "-m", "server", "keys", "create", name, "--scope", scope], cwd=ROOT,
        env={**clean, "DATA_DIR": str(at.stack.data_dir), "ENCRYPTION_KEY": secret},
        text=True, capture_output=True, check=True,
    )  # fmt: skip
    key: str = json.loads(outcome.stdout)["key"]
    at.replies.append(("stderr of keys create", outcome.stderr.encode()))
    return at.canaries.add("API key", key)


class Caller:
    """Does what callers do, well and badly, with secrets of its own."""

    def __init__(self, at: Site, rest: httpx.AsyncClient) -> None:
        self._at, self._rest, self._keys = at, rest, at.keys
        self._new = at.canaries.new

    async def user(self) -> str:
        user_id = f"user_{uuid.uuid4().hex}"
        email, phone = (
            f"{user_id}@private.example.com",
            "+91-98765" + str(10_000 + len(self._at.people)),
        )
        body = {"userId": user_id, "email": email, "phoneNumber": phone}
        headers = {"idempotency-key": self._new("idempotency key")}
        for _ in range(2):
            response = await self._rest.post("/users", json=body, headers=headers)
            assert response.status_code == 201, response.text
        self._at.people += [email, phone]
        return user_id

    def credentials(self, **more: str) -> dict[str, str]:
        return {"username": steps.new_login(), "password": self._new("password"), **more}

    async def connect(self, user_id: str, platform: str, **credentials: str) -> httpx.Response:
        return await self._rest.post(
            "/connectors",
            json={"userId": user_id, "platform": platform, "permissions": ["profile", "portfolio"],
                  "credentials": credentials},
            headers={"idempotency-key": self._new("idempotency key")},
        )  # fmt: skip

    async def succeed(self) -> list[str]:
        """Connections that hold, over REST and gRPC, synced and refreshed; gives their ids."""
        made = []
        for platform in steps.PLATFORMS:
            user_id = await self.user()
            response = await self.connect(user_id, platform, **self.credentials())
            assert response.status_code == 201, response.text
            connector_id = response.json()["data"]["id"]
            await steps.synced(self._rest, connector_id)
            assert (await self._rest.put(f"/connectors/{connector_id}/refresh-session")).is_success
            await steps.sync(self._rest, connector_id)
            await self._rest.get(f"/connectors/{connector_id}/records")
            await self._rest.get(f"/connectors/{connector_id}")
            made.append(connector_id)
        return made

    async def log_in_by_hand(self) -> str:
        """A login at Kite's own page, first with a token that is wrong."""
        user_id = await self.user()
        login = (await self.connect(user_id, "zerodha")).json()["data"]
        path = f"/connectors/{login['id']}/refresh-session"
        wrong = {"credentials": {"requestToken": self._new("request token")}}
        assert (await self._rest.put(path, json=wrong)).status_code == 400
        assert (await self._rest.put(path)).status_code in {400, 409}
        await self._rest.post(f"/connectors/{login['id']}/sync")
        token = await steps.request_token(login["loginUrl"], steps.new_login())
        self._at.canaries.add("request token", token)
        right = {"credentials": {"requestToken": token}}
        response = await self._rest.put(path, json=right)
        assert response.status_code == 200, response.text
        return str(login["id"])

    async def fail(self) -> None:
        """Requests that are wrong in all the ways that a secret may be in."""
        user_id = await self.user()
        new = self._new
        refused = {"apiKey": new("apiKey"), "apiSecret": new("apiSecret")}
        assert (
            await self.connect(user_id, "zerodha", **self.credentials(**refused))
        ).status_code == 400
        wrong: list[Any] = [
            {"credentials": new("password")},
            {"credentials": {"password": [new("password")]}},
            {"credentials": {"password": {"value": new("password")}}},
            {"credentials": {"password": new("password") + "\x00"}},
            {"credentials": {"password": new("password") * 40}},
            {"permissions": [new("password")], "platform": new("apiKey"), "userId": new("apiKey")},
            {
                "userId": user_id,
                "platform": "fi_money",
                "permissions": ["trades"],
                "updateMask": new("x"),
            },
            [new("password")],
            new("password"),
        ]
        for body in wrong:
            response = await self._rest.post("/connectors", json=body)
            assert response.status_code == 400, response.text
        for text in (
            '{{"password": "{}"',
            '{{"a": "{}"}} x',
            "password={}",
            '{{"a": 1, "a": "{}", }}',
        ):
            content = text.format(new("password"))
            assert (await self._rest.post("/connectors", content=content)).status_code == 400
        huge = json.dumps({"credentials": {"password": new("password")}, "x": "y" * 70_000})
        assert (await self._rest.post("/connectors", content=huge)).status_code == 413
        query = {"password": new("password"), "status": new("apiKey"), "pageToken": new("apiKey")}
        assert (await self._rest.get("/connectors", params=query)).status_code == 400
        await self._names(user_id)
        for key in (new("API key"), f"finlink_{new('API key')}"):
            headers = {"x-api-key": key}
            assert (await self._rest.get("/users", headers=headers)).status_code == 401
        headers = {"x-api-key": self._keys["read"]}
        assert (await self._rest.delete(f"/users/{user_id}", headers=headers)).status_code == 403
        once = {"idempotency-key": new("idempotency key")}
        path = f"/users/{user_id}/metadata"
        for tag in ("one", "two"):
            response = await self._rest.put(path, json={"tags": [tag]}, headers=once)
        assert response.json()["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"
        bad = {"idempotency-key": new("idempotency key") + " x"}
        assert (await self._rest.put(path, json={"tags": ["x"]}, headers=bad)).status_code == 400

    async def _names(self, user_id: str) -> None:
        """Secrets in the place of fields' names, which the reply to their sender repeats."""
        for nest in ("", "credentials"):
            name = self._new("password as a field")
            inner: dict[str, Any] = {name: 1, f"{name}_x": {name: "y"}}
            body = {"userId": user_id, nest: inner} if nest else inner
            response = await self._rest.post("/connectors", json=body, extensions={"names": [name]})
            assert response.status_code == 400
        name = self._new("password as a parameter")
        extensions = {"names": [name]}
        response = await self._rest.get("/users", params={name: "1"}, extensions=extensions)
        assert response.status_code == 400

    async def over_grpc(self, channel: grpc.aio.Channel) -> None:
        connectors: Any = ConnectorServiceStub(channel)
        user_id = await self.user()
        metadata = (
            ("x-api-key", self._keys["write"]), ("idempotency-key", self._new("idempotency key")),
        )  # fmt: skip
        request = rpc.CreateConnectorRequest(
            user_id=user_id, platform="fi_money", permissions=["profile"],
            credentials=session_pb2.Credentials(username=steps.new_login(), password=self._new("password")),
        )  # fmt: skip
        made = await connectors.CreateConnector(request, metadata=metadata)
        await connectors.RefreshSession(
            session_pb2.RefreshSessionRequest(connector_id=made.data.id), metadata=metadata
        )
        self._at.replies.append(("answer over gRPC", made.SerializeToString()))
        bad = [
            request.SerializeToString()[:-3],
            f"{{{self._new('password')}}}".encode(),
            rpc.CreateConnectorRequest(
                user_id=self._new("apiKey"), platform=self._new("apiKey")
            ).SerializeToString(),
            rpc.CreateConnectorRequest(
                user_id=user_id, platform="zerodha", permissions=["profile"],
                credentials=session_pb2.Credentials(username="x", password=self._new("password"),
                                            api_key=self._new("apiKey"), api_secret=self._new("apiSecret")),
            ).SerializeToString(),
        ]  # fmt: skip
        raw: Any = channel.unary_unary(CREATE)
        for content in bad:
            try:
                await raw(content, metadata=metadata[:1])
                raise AssertionError(f"served: {content!r}")
            except grpc.aio.AioRpcError as error:
                reported = f"{error.details()} {error.trailing_metadata()}".encode()
                self._at.replies.append(("error over gRPC", reported))

    async def troubles(self, connectors: list[str]) -> None:
        """The platforms fail, and end sessions."""
        for platform, kind in (
            ("fi_money", "not_json"),
            ("zerodha", "unavailable"),
            ("zerodha", "throttled"),
        ):
            self._at.sandbox.faults(platform, "*", {"kind": kind})
            for connector_id in connectors:
                await self._sync_as_far_as_it_goes(connector_id)
            self._at.sandbox.clear_faults(platform, "*")
        for platform in ("fi_money", "zerodha"):
            self._at.sandbox.faults(platform, "*", {"kind": "revoked"})
        for connector_id in connectors:
            await self._rest.post(f"/connectors/{connector_id}/sync")
            await steps.synced(self._rest, connector_id)
            await self._rest.put(f"/connectors/{connector_id}/refresh-session")
        for platform in ("fi_money", "zerodha"):
            self._at.sandbox.clear_faults(platform, "*")
        user_id = await self.user()
        self._at.sandbox.faults("fi_money", "*", {"kind": "wrong_password"})
        assert (await self.connect(user_id, "fi_money", **self.credentials())).status_code == 400
        self._at.sandbox.clear_faults("fi_money", "*")

    async def _sync_as_far_as_it_goes(self, connector_id: str) -> None:
        """A run that ends, or that is put off and then cancelled."""
        await steps.synced(self._rest, connector_id, 0)
        sync_id = (await steps.trigger(self._rest, connector_id))["data"]["syncId"]
        path = f"/connectors/{connector_id}/syncs/{sync_id}"

        async def settled() -> bool:
            state: str = (await self._rest.get(path)).json()["data"]["state"]
            return state != "in_progress"

        await steps.eventually(settled, f"{sync_id} to end or be put off")
        await self._rest.post(f"{path}/cancel")
        await steps.finished(self._rest, connector_id, sync_id)

    async def end(self, connectors: list[str]) -> None:
        for number, connector_id in enumerate(connectors):
            user_id = (await steps.get(self._rest, connector_id))["userId"]
            if number % 2:
                assert (await self._rest.delete(f"/connectors/{connector_id}")).is_success
            else:
                assert (await self._rest.delete(f"/users/{user_id}")).is_success
        await self._rest.get("/audit-events", params={"limit": 100})
        await self._rest.get("/users", params={"limit": 100})
        await self._rest.get("/connectors", params={"limit": 100})


def count_of(at: Site, secret: str) -> None:
    """Another process of this run that counts, and has a secret for a label."""
    subprocess.run(
        [sys.executable, "-c",
         "import sys; from server.observability import metrics; metrics.SUSPICIOUS.labels(sys.argv[1]).inc()",
         secret], cwd=ROOT, check=True,
        env={**os.environ, FOLDER_SETTING: str(at.stack.data_dir / "metrics")},
    )  # fmt: skip


async def planted(at: Site, *, deep: bool) -> None:
    """A secret that lies in each kind of place is found there."""
    secret = at.canaries.new("planted")
    encoded = base64.b64encode(b"x" + secret.encode() + b"yz")
    log = at.stack.data_dir / "log" / "planted.log"
    log.write_text(f'{{"event": "call", "token": "{secret}"}}')
    async with steps.database(at.stack) as documents:
        plain, binary = documents["planted_text"], documents["planted_bytes"]
        await plain.insert_one({"deep": [{"text": f"a {secret} z"}]})
        await binary.insert_one({"deep": {"bytes": encoded, "text": encoded.decode()}})
        at.replies.append(("planted answer", f'{{"error": "{secret}"}}'.encode()))
        count_of(at, secret)
        await plain.database.client.admin.command("fsync")
        found = await at.scan(deep=deep)
        places = {line.partition(": ")[0] for line in found}
        assert places >= {
            "MongoDB financial_app.planted_text", "MongoDB financial_app.planted_bytes",
            "MongoDB local.oplog.rs", "file log/planted.log", "planted answer", "metrics",
        }  # fmt: skip
        assert not deep or any(place.startswith("data file collection") for place in places)
        await plain.drop()
        await binary.drop()
    log.unlink()


async def test_no_secret_is_in_clear_anywhere(
    full: bool, figures: Figures, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with site(tmp_path_factory.mktemp("canaries")) as at:
        at.keys["admin"] = make_key(at, "admin-key", "admin")
        async with (
            httpx.AsyncClient(
                base_url=f"{at.stack.rest}/api/v1", timeout=40,
                headers={"x-api-key": at.keys["admin"]}, event_hooks={"response": [at.heard]},
            ) as rest,
            grpc.aio.insecure_channel(at.stack.grpc) as channel,
        ):  # fmt: skip
            caller = Caller(at, rest)
            for _ in range(2 if full else 1):
                connectors = [*await caller.succeed(), await caller.log_in_by_hand()]
                await caller.fail()
                await use_second_factors(rest, at.canaries)
                await use_phones(rest, at.canaries)
                await provider_calls.use_provider(rest, at.canaries, at.provider_port)
                await caller.over_grpc(channel)
                assert await at.scan(deep=full) == []
                if full:
                    await caller.troubles(connectors)
                await caller.end(connectors)
            found = await at.scan(deep=full)
        figures.show("secrets", len(at.canaries.values))
        figures.show("answers", len(at.replies))
        figures.show("people in files", _people(at))
        assert found == []
        await planted(at, deep=full)


def _people(at: Site) -> str:
    """Emails and phone numbers that logs have, by file."""
    counts = {
        place: sum(content.count(person.encode()) for person in at.people)
        for place, content in look.files(at.stack)
    }
    return str({place: count for place, count in counts.items() if count} or "none")


@pytest.mark.parametrize(
    ("place", "logged"),
    [
        ("credentials.password", "credentials.password"),
        ("permissions[1]", "permissions[1]"),
        ("body", "body"),
        ("Idempotency-Key", "Idempotency-Key"),
        ("hunter2", "(unknown)"),
        ("credentials.hunter2", "(unknown)"),
        ("credentials.hunter2.password", "(unknown)"),
        ("hunter2[0].password", "(unknown)"),
    ],
)
def test_only_names_of_the_contract_are_logged(place: str, logged: str) -> None:
    names = error_step.names_of(rpc.CreateConnectorRequest.DESCRIPTOR)
    assert error_step.loggable(place, names) == logged
