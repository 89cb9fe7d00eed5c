"""Calls near the contract and far from it: each gets a reply of the contract, none is an accident."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
import httpx
from google.protobuf.message import Message

from server.rpc.method import Method
from server.rpc.status import STATUSES
from tests.chaos.figures import Figures
from tests.contract.descriptors import methods
from tests.e2e import connector_steps as steps
from tests.e2e.users_errors import grpc_error
from tests.security_long.fuzzing import Fuzzer, Json, Known, RestCall, corpus
from tests.stack import Stack

RawCall: TypeAlias = Any  # of bytes to bytes
CALLERS = 16
TIMEOUT = 60.0
BY_ENVOY = "refused by Envoy, as gRPC"
# What a call comes to that got no further than to be looked at.
STOPPED = frozenset(
    {
        "VALIDATION_ERROR",
        "ROUTE_NOT_FOUND",
        "PAYLOAD_TOO_LARGE",
        "RATE_LIMITED",
        "UNAUTHENTICATED",
        BY_ENVOY,
    }
)
# Those that end things come less often.
SELDOM = {"DeleteUser": 0.15, "DisconnectConnector": 0.3, "CreateConnector": 2, "CreateUser": 2}


@dataclass
class Counts:
    """Answers by RPC and code; `strange` are those that no caller should ever get."""

    codes: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    strange: list[str] = field(default_factory=list)

    def count(self, method: Method, code: str, call: object) -> None:
        self.codes[method.descriptor.name][code] += 1
        if code == "INTERNAL" or (code not in {"OK", BY_ENVOY, *STATUSES}):
            self.strange.append(f"{method.descriptor.name} {code}: {str(call)[:2_000]}")

    @property
    def calls(self) -> int:
        return sum(codes.total() for codes in self.codes.values())

    @property
    def served(self) -> int:
        """How many got past validation."""
        return sum(self.served_of(name) for name in self.codes)

    def served_of(self, name: str) -> int:
        return sum(count for code, count in self.codes[name].items() if code not in STOPPED)


# What a stream begins with over REST; an error would begin otherwise.
FIRST_LINES = {"WatchConnectors": "id: ", "ExportUser": '{"user": '}


class Attack:
    """Callers that take turns at the RPCs until so many calls are made."""

    def __init__(
        self, rest: httpx.AsyncClient, channel: grpc.aio.Channel, fuzzer: Fuzzer, known: Known
    ) -> None:
        self.tally = Counts()
        self._rest = rest
        self._channel = channel
        self._fuzzer = fuzzer
        self._known = known

    async def over_rest(self, method: Method, message: Message, call: RestCall) -> None:
        url = self._rest.base_url.copy_with(raw_path=call.target)
        headers = [(name.encode(), value.encode()) for name, value in call.headers]
        request = self._rest.build_request(
            call.verb,
            url,
            headers=headers,
            content=call.body,
        )
        response = await self._rest.send(request, stream=True)
        try:
            if response.is_success and method.streams:
                first = await anext(response.aiter_lines())
                begun = FIRST_LINES[method.descriptor.name]
                code = "OK" if first.startswith(begun) else f"begins with: {first}"
            elif _refused_as_grpc(call, response):
                code = BY_ENVOY
            else:
                code = self._code(message, response.status_code, await response.aread())
        finally:
            await response.aclose()
        self.tally.count(method, code, call)

    def _code(self, asked: Message, status: int, content: bytes) -> str:
        try:
            reply = json.loads(content)
            if 200 <= status < 300:
                self._known.learn(asked, reply)
                return "OK"
            code: str = reply["error"]["code"]
            if code == "CONNECTOR_NOT_FOUND":
                self._known.forget(getattr(asked, "connector_id", ""))
        except (ValueError, KeyError, TypeError):
            return f"{status} without the shape of errors: {content[:200]!r}"
        expected = STATUSES[code][1] if code in STATUSES else None
        # Envoy refuses some requests itself with statuses of their own (431, …).
        return code if status == expected or code in STOPPED else f"{code} with status {status}"

    async def over_grpc(
        self, method: Method, raw: bytes, metadata: tuple[tuple[str, str], ...]
    ) -> None:
        try:
            if method.streams:
                watch: RawCall = self._channel.unary_stream(method.path)
                stream = watch(raw, timeout=TIMEOUT)
                first = await stream.read()
                stream.cancel()
                code = "OK" if isinstance(first, bytes) else "no first message"
            else:
                ask: RawCall = self._channel.unary_unary(method.path)
                await ask(raw, timeout=TIMEOUT, metadata=metadata)
                code = "OK"
        except grpc.aio.AioRpcError as error:
            try:
                code = grpc_error(error).code
            except AssertionError as shape:
                code = f"{error.code()} without the shape of errors: {shape}"
        self.tally.count(method, code, raw)

    async def run(self, total: int, seed: int, dice: random.Random, samples: int) -> None:
        every = methods()
        corpora = {method.path: corpus(method, samples, seed) for method in every}
        weights = [SELDOM.get(method.descriptor.name, 1) for method in every]
        # All of them some times, whatever the dice say; more often those that need no credential.
        least = every * 4 + [method for method in every if method.access.open_without_keys] * 12
        order = least + dice.choices(every, weights, k=total - len(least))
        dice.shuffle(order)
        turns = iter(order)

        async def caller() -> None:
            for method in turns:
                message = self._fuzzer.request(method, corpora[method.path])
                if dice.random() < 0.5:
                    await self.over_rest(method, message, self._fuzzer.rest(method, message))
                else:
                    raw = self._fuzzer.wire(message)
                    await self.over_grpc(method, raw, self._fuzzer.metadata())

        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(caller())


def _refused_as_grpc(call: RestCall, response: httpx.Response) -> bool:
    """Whether Envoy has refused a path before it looked at anything else.

    To who says that it speaks gRPC, on a port that has none, it says so in gRPC's way: as 200, with the
    error in a header.
    """
    reported = response.headers.get("grpc-message", "")
    refused = any(code in reported for code in ("VALIDATION_ERROR", "ROUTE_NOT_FOUND"))
    return ("content-type", "application/grpc") in call.headers and refused


async def test_no_call_is_an_accident(stack: Stack, full: bool, figures: Figures) -> None:
    total, samples = (50_000, 150) if full else (1_000, 6)
    seed = random.SystemRandom().randrange(2**32)
    figures.show("seed", seed)
    dice = random.Random(seed)  # noqa: S311 - no secret
    mark = uuid.uuid4().hex[:8]
    users = [f"fuzz_{mark}_{number}" for number in range(30 if full else 10)]
    known = Known(users)
    log_from = stack.log.stat().st_size
    limits = httpx.Limits(max_connections=CALLERS)
    async with (
        httpx.AsyncClient(base_url=f"{stack.rest}/api/v1", timeout=TIMEOUT, limits=limits) as rest,
        grpc.aio.insecure_channel(stack.grpc) as channel,
    ):
        for number, user_id in enumerate(users):
            await steps.create_user(rest, user_id)
            permissions = steps.ALL if number % 2 else steps.LITTLE
            made = await steps.connect(rest, user_id, permissions=permissions)
            known.connectors.append(made["id"])
        attack = Attack(rest, channel, Fuzzer(dice, known), known)
        started = time.monotonic()
        await attack.run(total, seed, dice, samples)
        seconds = time.monotonic() - started
        await _still_serves(rest, f"after_{mark}")

    tally = attack.tally
    figures.show("calls", f"{tally.calls:,} in {seconds:.0f} s")
    figures.show("past validation", f"{tally.served:,}, {tally.served / tally.calls:.0%}")
    for name, codes in sorted(tally.codes.items()):
        reported = ", ".join(f"{code} {count:,}" for code, count in codes.most_common())
        figures.show(name, f"{codes.total():,}, served {tally.served_of(name):,}: {reported}")
    assert not tally.strange, (seed, len(tally.strange), tally.strange[:10])
    assert tally.calls == total
    assert tally.served >= 0.3 * total
    # Of a credential that nobody has only the refusal can be seen.
    expected = [m for m in methods() if m.access.open_without_keys]
    unserved = [m.descriptor.name for m in expected if not tally.served_of(m.descriptor.name)]
    assert unserved == []
    logged = [
        line for line in _log_since(stack, log_from) if "unhandled" in line or "Traceback" in line
    ]
    assert logged == []


async def _still_serves(rest: httpx.AsyncClient, user_id: str) -> None:
    await steps.create_user(rest, user_id)
    connector: Json = await steps.connect(rest, user_id)
    await steps.synced(rest, connector["id"])


def _log_since(stack: Stack, start: int) -> list[str]:
    with stack.log.open("rb") as log:
        log.seek(start)
        return log.read().decode(errors="replace").splitlines()
