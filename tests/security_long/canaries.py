"""Secrets that are distinguished from everything else, and a scan for them in whatever is kept or said."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient

from tests.stack import Stack

# What holds secrets on purpose, for its owner alone.
HOLDERS = frozenset({"encryption.key", "development.key", "sandbox.json"})
# How places in the database begin.
DATABASE = ("MongoDB ", "data file ")
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_LOGIN_URL = re.compile(rb'"loginUrl": ?"[^"]*"')


@dataclass
class Canaries:
    """The secrets of a run: `values` by secret, with what each of them is."""

    values: dict[str, str] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)  # of documents, which open nothing by themselves
    _forms: dict[str, list[bytes]] = field(default_factory=dict)

    def new(self, what: str) -> str:
        return self.add(what, f"canary{uuid.uuid4().hex}")

    def add(self, what: str, secret: str) -> str:
        if secret not in self.values:
            self.values[secret] = what
            self._forms[secret] = forms(secret.encode())
        return secret

    def add_id(self, what: str, secret: str) -> None:
        """The id of a document: it is in the database, and must not be anywhere else."""
        self.ids.add(self.add(what, secret))

    def add_key(self, what: str, key: str) -> None:
        """A key in hexadecimal, which is used as the bytes it stands for."""
        self.add(what, key)
        self._forms[key] += forms(bytes.fromhex(key))

    def add_login_url(self, url: str) -> None:
        self.add("login URL", url)
        for values in parse_qs(urlsplit(url).query).values():
            for value in values:
                if len(value) >= 16:
                    self.add("part of a login URL", value)

    def found(self, place: str, content: bytes) -> list[str]:
        """What of the secrets is in there, in clear, in base64 or in hexadecimal."""
        known = self.ids if place.startswith(DATABASE) else ()
        return [
            f"{what} ({secret[:14]}…)"
            for secret, what in self.values.items()
            if secret not in known and any(form in content for form in self._forms[secret])
        ]


def forms(secret: bytes) -> list[bytes]:
    """A secret as it may stand in text, also in the midst of something that was encoded as a whole."""
    found = [secret, secret.hex().encode(), json.dumps(secret.decode("latin-1"))[1:-1].encode()]
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + secret)
        middle = encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4]
        found += [middle, middle.translate(bytes.maketrans(b"+/", b"-_"))]
    return list(dict.fromkeys(found))


def tokens_of(memory: Path, canaries: Canaries) -> None:
    """Take over the tokens of sessions that are open at the sandbox."""
    if not memory.exists():
        return
    content = json.loads(memory.read_text())
    for session in content.get("zerodha", []):
        for name in ("access_token", "refresh_token"):
            if session[name]:
                canaries.add(f"Kite's {name}", session[name])
    for session_id in content.get("fi_money", {}):
        canaries.add("Fi Money's session id", session_id)


def without_login_url(body: bytes) -> bytes:
    """A reply without what its caller must open."""
    return _LOGIN_URL.sub(b'"loginUrl": ""', body)


async def documents(stack: Stack) -> dict[str, bytes]:
    """All that MongoDB has, as bytes, by collection: its log of changes too."""
    found: dict[str, bytes] = {}
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(stack.mongodb_uri)
    async with client:
        for name in await client.list_database_names():
            for collection in await client[name].list_collection_names():
                if collection.startswith("system."):
                    continue
                stored: Any = client[name].get_collection(collection, codec_options=_RAW)
                raw = [document.raw async for document in stored.find({})]
                found[f"MongoDB {name}.{collection}"] = b"\n".join(raw)
    return found


def files(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Logs, configuration, and whatever else lies in the data folder but MongoDB's data."""
    for path in sorted(stack.data_dir.rglob("*")):
        place = path.relative_to(stack.data_dir)
        if path.is_file() and path.name not in HOLDERS and place.parts[0] != "mongo":
            yield f"file {place}", path.read_bytes()


def data_files(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """MongoDB's data as it lies on the disk, without the room that is kept for more."""
    for path in sorted((stack.data_dir / "mongo").rglob("*")):
        if path.is_file():
            yield f"data file {path.name}", path.read_bytes().rstrip(b"\0")


async def metrics(stack: Stack) -> dict[str, bytes]:
    """What Envoy's admin and Finlink's own page of metrics tell."""
    base = f"http://127.0.0.1:{stack.ports['ADMIN_PORT']}"
    async with httpx.AsyncClient(base_url=base) as admin:
        pages = ("/stats", "/stats/prometheus", "/clusters", "/config_dump", "/server_info")
        found = {f"Envoy {page}": (await admin.get(page)).content for page in pages}
        own = f"http://127.0.0.1:{stack.ports['METRICS_PORT']}/metrics"
        return {**found, "metrics": (await admin.get(own)).content}


def command_lines(stack: Stack) -> dict[str, bytes]:
    """How the processes of the stack were called, which everybody on the machine may see."""
    process = psutil.Process(stack.process.pid)
    every = [process, *process.children(recursive=True)]
    return {f"command line of {p.name()} {p.pid}": " ".join(p.cmdline()).encode() for p in every}
