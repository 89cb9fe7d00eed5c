"""Requests near the contract, and what is left of them after harm: what a fuzzer sends."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

import hypothesis
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, given

from server.rpc.method import Method
from tests.rpc.samples import valid

Json = dict[str, Any]
T = TypeVar("T")
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1e400, -0.0, 10**30, 2**31, 2**63, "", " ", "0", "true", "\x00", "\u202e",
    "é" * 50, "𝔘" * 20, "\ud800", "../..", "%00", "$where", "{'$gt': ''}", "a" * 5_000, [], [[]],
    {}, {"$gt": ""}, [None], ["profile", "profile"], {"a": {"b": {"c": []}}},
)  # fmt: skip
NAMES = (
    "",
    "userId",
    "user_id",
    "$set",
    "__proto__",
    "credentials",
    "é",
    "\ud800",
    "a.b",
    "x" * 400,
)
KEYS = ("1", "x" * 255, "x" * 256, "two words", "né", "")
HEADERS = (
    ("x-request-id", "fuzz"), ("x-request-id", "x" * 300), ("x-request-id", "a b"),
    ("content-type", "application/grpc"), ("content-type", "text/plain"), ("accept", "text/html"),
    ("x-http-method-override", "DELETE"), ("x-envoy-original-path", "/api/v1/users"),
    ("x-finlink-status", "200"), ("grpc-timeout", "1n"), ("grpc-status", "0"),
    ("x-forwarded-for", "::1, nobody"), ("last-event-id", "x"), ("x-api-key", "unknown"),
    ("content-encoding", "gzip"), ("te", "trailers"), ("range", "bytes=0-1"), ("expect", "nothing"),
)  # fmt: skip
# Tags and lengths that decoders stumble over.
WIRE = (
    b"\xff" * 10, b"\x80" * 11 + b"\x01", b"\x0a\xff\xff\xff\xff\x0f", b"\x0b" * 300, b"\x0c",
    b"\x0a\x02\xff\xfe", b"\x12\x01\x00", b"\xfa\xff\xff\xff\x0f\x01x", b"\x00\x00", b"\x0f",
    b"\x82\xe1\x18\x02{}", b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x1a\x00" * 100,
)  # fmt: skip


@dataclass
class Known:
    """What is there: calls name it often, so that they get past the first look-up."""

    users: Sequence[str]
    connectors: list[str] = field(default_factory=list)
    syncs: list[tuple[str, str]] = field(default_factory=list)  # connector, sync
    tokens: list[str] = field(default_factory=list)

    def learn(self, asked: Message, reply: Json) -> None:
        """Take over the identifiers that a reply gives."""
        data = reply.get("data")
        if not isinstance(data, dict):
            return
        sync_id, token = data.get("syncId"), (data.get("pagination") or {}).get("nextPageToken")
        if "sessionId" in data and data.get("id"):
            _remember(self.connectors, data["id"])
        if sync_id:
            _remember(self.syncs, (getattr(asked, "connector_id", ""), sync_id))
        if token:
            _remember(self.tokens, token)

    def forget(self, connector_id: str) -> None:
        """It is gone, with its user; some such stay."""
        if connector_id in self.connectors and len(self.connectors) > len(self.users) // 2:
            self.connectors.remove(connector_id)


def _remember(known: list[T], one: T) -> None:
    if one not in known:
        known.append(one)
        del known[:-60]


def corpus(method: Method, count: int, seed: int) -> list[Message]:
    """Valid requests of an RPC, at most so many."""
    found: list[Message] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count, phases=[Phase.generate], database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(valid(method))
    def gather(request: Json) -> None:
        found.append(method.request_class(**request))

    gather()
    return found


@dataclass(frozen=True)
class RestCall:
    verb: str
    target: bytes
    headers: Sequence[tuple[str, str]]
    body: bytes | None


class Fuzzer:
    """Makes calls out of a corpus, the same ones for the same `dice` and answers."""

    def __init__(self, dice: random.Random, known: Known) -> None:
        self._dice = dice
        self._known = known

    def request(self, method: Method, corpus: Sequence[Message]) -> Message:
        """A valid request that mostly names what is there."""
        message = method.request_class()
        message.CopyFrom(self._dice.choice(corpus))
        for name, known in (
            ("user_id", self._known.users), ("connector_id", self._known.connectors),
            ("page_token", self._known.tokens),
        ):  # fmt: skip
            named = message.DESCRIPTOR.fields_by_name.get(name)
            if named is None or not known or self._chance(0.1):
                continue
            if not named.has_presence or message.HasField(name) or name in method.path_fields:
                setattr(message, name, self._dice.choice(known))
        if "sync_id" in message.DESCRIPTOR.fields_by_name and self._known.syncs:
            pair = self._dice.choice(self._known.syncs)
            message.connector_id, message.sync_id = pair  # type: ignore[attr-defined]
        # Only the server's own tokens are right; a walk begins without one.
        for name in ("page_token", "resume_token"):
            if name in message.DESCRIPTOR.fields_by_name and self._chance(0.7):
                message.ClearField(name)
        # A login at Zerodha takes its turn among ten a second, which would be all there is to see.
        if method.descriptor.name == "CreateConnector" and self._chance(0.8):
            message.platform = "fi_money"  # type: ignore[attr-defined]
        return message

    # --- gRPC

    def wire(self, message: Message) -> bytes:
        raw = message.SerializeToString()
        return raw if self._chance(0.55) else self._dice.choice(self._harms())(raw)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        key = self._dice.choice([key for key in KEYS if key.isascii() and key])
        return (("idempotency-key", key),) if self._chance(0.1) else ()

    def _harms(self) -> Sequence[Callable[[bytes], bytes]]:
        return (self._flipped, self._cut, self._spliced, self._noise, self._doubled)

    def _flipped(self, raw: bytes) -> bytes:
        content = bytearray(raw or b"\x00")
        for _ in range(self._dice.randint(1, 4)):
            content[self._dice.randrange(len(content))] ^= 1 << self._dice.randrange(8)
        return bytes(content)

    def _cut(self, raw: bytes) -> bytes:
        return raw[: self._dice.randint(0, len(raw))]

    def _spliced(self, raw: bytes) -> bytes:
        place = self._dice.randint(0, len(raw)) if self._chance(0.5) else len(raw)
        return raw[:place] + self._dice.choice(WIRE) + raw[place:]

    def _noise(self, _: bytes) -> bytes:
        return self._dice.randbytes(int(self._dice.expovariate(0.01)))

    def _doubled(self, raw: bytes) -> bytes:
        return raw + raw if self._chance(0.97) else raw + b"\x7a\x80\x80\x08" + bytes(131_072)

    # --- REST

    def rest(self, method: Method, message: Message) -> RestCall:
        values = json_format.MessageToDict(message, preserving_proto_field_name=False)
        target = self._path(method, message)
        for name in method.path_fields:
            values.pop(method.request.fields_by_name[name].json_name, None)
        body = None
        if method.takes_json:
            body = self._body(values)
            if self._chance(0.03):
                target += "?" + self._query({"userId": "x", "": ""})
        elif values or self._chance(0.2):
            target += "?" + self._query(values)
        raw = target.encode("utf-8", "replace").replace(b"#", b"%23").replace(b" ", b"%20")
        headers: list[tuple[str, str]] = []
        if self._chance(0.1):
            headers.append(("idempotency-key", self._dice.choice(KEYS)))
        if self._chance(0.1):
            headers.append(self._dice.choice(HEADERS))
        return RestCall(method.verb.upper(), raw, headers, body)

    def _path(self, method: Method, message: Message) -> str:
        path = method.http_path
        for name in method.path_fields:
            value = str(getattr(message, name))
            if self._chance(0.05):
                value = str(self._dice.choice(ODD))
            kept = "" if self._chance(0.95) else "/%?.;:"
            path = path.replace(f"{{{name}}}", quote(value, safe=kept, errors="replace"))
        return path

    def _query(self, values: Json) -> str:
        pairs = [
            (name, str(item).lower() if isinstance(item, bool) else str(item))
            for name, value in values.items()
            for item in (value if isinstance(value, list) else [value])
        ]
        if self._chance(0.3):
            pairs.append((self._dice.choice(NAMES), str(self._dice.choice(ODD))))
        text = "&".join(
            f"{quote(name, errors='replace')}={quote(value, errors='replace')}"
            for name, value in pairs
        )
        if self._chance(0.1):
            place = self._dice.randint(0, len(text))
            text = (
                text[:place] + self._dice.choice(["%", "%ff", "&&", "=", "+", "%00"]) + text[place:]
            )
        return text[:8_000]

    def _body(self, values: Json) -> bytes:
        choice = self._dice.random()
        if choice < 0.25:
            values = self._mutated(values)
        text = json.dumps(values, ensure_ascii=self._chance(0.5)).encode("utf-8", "surrogatepass")
        if choice < 0.85:
            return text
        if choice < 0.95:
            return self._dice.choice((self._flipped, self._cut, self._noise))(text)
        return self._dice.choice(
            (
                b"", b"null", b"[]", b"{" * 60_000, b"[" * 2_000, b'{"a":' * 3_000, b"1" * 5_000,
                b'{"x":"' + b"y" * 70_000 + b'"}', text[:-1] + b"," + text[1:], b"\xef\xbb\xbf" + text,
                b'{"income":' + b"9" * 5_000 + b"}", b'{"userId":"\\ud800"}', text.replace(b'"', b"'"),
            )
        )  # fmt: skip

    def _mutated(self, values: Json) -> Json:
        """The same with one thing wrong, somewhere."""
        changed = dict(values)
        names = list(changed)
        if not names or self._chance(0.3):
            changed[self._dice.choice(NAMES)] = self._dice.choice(ODD)
            return changed
        name = self._dice.choice(names)
        inner = changed[name]
        if isinstance(inner, dict) and self._chance(0.7):
            changed[name] = self._mutated(inner)
        elif isinstance(inner, list) and self._chance(0.5):
            changed[name] = [*inner, self._dice.choice(ODD)]
        else:
            changed[name] = self._dice.choice(ODD)
        return changed

    def _chance(self, share: float) -> bool:
        return self._dice.random() < share
