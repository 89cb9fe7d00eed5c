"""A way to MongoDB that keeps back the reply to a commit, so that a process can die between the two."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

# The name of the command as it stands in the wire protocol's BSON.
COMMIT = b"commitTransaction\x00"
# What a caller changes is told of; what a server does by itself, as sealing events and counting, is not.
_TELLING = b"\x02insert\x00\x0d\x00\x00\x00audit_events\x00"
_IN_TRANSACTION = b"autocommit\x00"
_SESSION = re.compile(rb"\x03lsid\x00.{4}\x05id\x00\x10\x00\x00\x00\x04(.{16})", re.DOTALL)


@dataclass
class Wire:
    """`armed`, it stops at the next commit: before it reaches MongoDB, or before its reply comes back.

    With `marks` it stops at the next command that has all of these in it.
    """

    mongo_port: int
    port: int = 0
    armed: str = ""  # "before" or "after" the commit, or ""
    marks: Sequence[bytes] = ()
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    _telling: set[bytes] = field(default_factory=set)  # sessions

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mongo_reader, mongo_writer = await asyncio.open_connection("127.0.0.1", self.mongo_port)
        held = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._requests(reader, mongo_writer, held))
                group.create_task(self._replies(mongo_reader, writer, held))
        except* (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            for each in (writer, mongo_writer):
                each.close()
                with suppress(ConnectionError):
                    await each.wait_closed()

    async def _requests(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, held: asyncio.Event
    ) -> None:
        while True:
            message = await _message(source)
            self._note(message)
            if self.armed and self._is_meant(message):
                when, self.armed = self.armed, ""
                held.set()
                if when == "before":
                    self.reached.set()
                    continue
            target.write(message)
            await target.drain()

    def _is_meant(self, message: bytes) -> bool:
        if self.marks:
            return all(mark in message for mark in self.marks)
        return COMMIT in message and self._reports(message)

    def _reports(self, commit: bytes) -> bool:
        session = _SESSION.search(commit)
        return session is not None and session[1] in self._telling

    def _note(self, message: bytes) -> None:
        """Which sessions' transactions tell of something."""
        if _IN_TRANSACTION in message and (session := _SESSION.search(message)) is not None:
            if b"startTransaction\x00" in message:
                self._telling.discard(session[1])
            if _TELLING in message:
                self._telling.add(session[1])

    async def _replies(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, held: asyncio.Event
    ) -> None:
        while True:
            message = await _message(source)
            if held.is_set():  # MongoDB has committed, and nobody is told
                self.reached.set()
                continue
            target.write(message)
            await target.drain()


async def _message(source: asyncio.StreamReader) -> bytes:
    """One message of the wire protocol: its length comes first."""
    head = await source.readexactly(4)
    return head + await source.readexactly(int.from_bytes(head, "little") - 4)


@asynccontextmanager
async def wire(mongo_port: int) -> AsyncIterator[Wire]:
    opened = Wire(mongo_port)
    server = await asyncio.start_server(opened.serve, "127.0.0.1", 0)
    opened.port = server.sockets[0].getsockname()[1]
    try:
        yield opened
    finally:
        server.close()
