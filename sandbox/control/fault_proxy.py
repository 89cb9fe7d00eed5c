"""The one place where a platform's calls are logged, stopped, refused and spoiled."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.control.calls import Call, PlatformAdapter
from sandbox.control.connection import CallerLeftError, ClientConnection
from sandbox.control.faults import Fault
from sandbox.control.journal import Entry
from sandbox.control.rows import first_part, repeat_some, without
from sandbox.control.rules import (
    Moment,
    NotJson,
    Partial,
    Reshaped,
    SessionEnd,
    Silence,
    Throttled,
    Unavailable,
    WrongPassword,
)
from sandbox.control.state import Control
from sandbox.server import HANG_UP

_GATEWAY_PAGE = "<html><head><title>Gateway</title></head><body>Please try again.</body></html>"


class DroppedError(Exception):
    """The call gets no reply."""


@dataclass(frozen=True)
class Reply:
    start: Message
    body: bytes

    @property
    def status(self) -> int:
        status: int = self.start["status"]
        return status

    def with_body(self, body: bytes) -> "Reply":
        headers = MutableHeaders(raw=list(self.start["headers"]))
        headers["content-length"] = str(len(body))
        return Reply({**self.start, "headers": headers.raw}, body)


@dataclass(frozen=True)
class ProxiedCall:
    """One call on its way through the fault proxy."""

    call: Call
    entry: Entry
    connection: ClientConnection
    scope: Scope
    receive: Receive

    async def ask(self, app: ASGIApp) -> Reply:
        """The whole reply of an application, or of a response, which is one too."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await app(self.scope, self.receive, keep)
        start, *rest = messages
        return Reply(start, b"".join(message.get("body", b"") for message in rest))


class FaultProxy:
    """Stands before a platform's application, as ASGI middleware."""

    def __init__(self, app: ASGIApp, platform: PlatformAdapter, control: Control) -> None:
        self._app = app
        self._platform = platform
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        journal = self._control.journal
        call = self._platform.describe(request, body)
        entry = journal.arrived(call)
        entry.request_id = request.headers.get("x-request-id")
        connection = ClientConnection(receive, self._control.stopping)
        proxied = ProxiedCall(call, entry, connection, scope, _replay(body, receive))
        try:
            await self._serve(proxied, send)
        except CallerLeftError:
            journal.ended(entry, "left")
        except DroppedError:
            journal.ended(entry, "dropped")
            scope["state"][HANG_UP]()
            await connection.until_left()
        finally:
            if entry.outcome is None:
                journal.ended(entry, "crashed")

    async def _serve(self, proxied: ProxiedCall, send: Send) -> None:
        journal = self._control.journal
        if proxied.call.listens:
            proxied.entry.done = True
            journal.replied(proxied.entry, 200)
            await self._app(proxied.scope, proxied.receive, send)
            return
        with self._control.limits.within_session(proxied.call):
            reply = await self._reply(proxied)
        # Logged before it is sent, so that callers who have a reply find it in the log.
        refusal = self._platform.refusal(reply.status, reply.body)
        journal.replied(proxied.entry, reply.status, refusal)
        await send(reply.start)
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, proxied: ProxiedCall) -> Reply:
        control, call, connection = self._control, proxied.call, proxied.connection
        if control.limits.refuses(call):
            proxied.entry.faults.append("limit")
            return await proxied.ask(self._platform.failure(429))
        await control.breakpoints.pass_through(call, "arrival", connection)
        delays, fault = control.faults.met_by(call)
        for delay in delays:
            proxied.entry.faults.append(delay.kind)
            await connection.sleep(delay.ms / 1000)
        if fault is None:
            reply = await self._from_platform(proxied, None)
        else:
            proxied.entry.faults.append(fault.rule.kind)
            reply = await self._spoiled(proxied, fault)
        await control.breakpoints.pass_through(call, "reply", connection)
        return reply

    async def _spoiled(self, proxied: ProxiedCall, fault: Fault) -> Reply:
        rule = fault.rule
        await self._fall_silent(fault, "arrival", proxied.connection)
        refusal = self._refusal(fault)
        if refusal is not None:
            return await proxied.ask(refusal)
        if isinstance(rule, SessionEnd) and proxied.call.login is not None:
            self._platform.end_sessions(proxied.call.login, revoke=rule.kind == "revoked")
        reply = await self._from_platform(proxied, fault)
        await self._fall_silent(fault, "reply", proxied.connection)
        return reply

    async def _fall_silent(self, fault: Fault, at: Moment, connection: ClientConnection) -> None:
        """Return once the call may go on, which is at once for faults of other kinds."""
        if not isinstance(fault.rule, Silence) or fault.rule.at != at:
            return
        if fault.rule.kind == "drop":
            raise DroppedError
        fault.waiting += 1
        try:
            await connection.wait(fault.cleared)
        finally:
            fault.waiting -= 1
        if not fault.cleared.is_set():
            raise DroppedError  # the sandbox stops

    def _refusal(self, fault: Fault) -> Response | None:
        """The reply that replaces the platform's, if the platform is not to be asked."""
        match fault.rule:
            case WrongPassword():
                return self._platform.wrong_password()
            case Throttled(retry_after=seconds):
                return _retry_after(self._platform.failure(429), seconds)
            case Unavailable(status=status, retry_after=seconds):
                return _retry_after(self._platform.failure(status), seconds)
            case NotJson(status=status):
                return HTMLResponse(_GATEWAY_PAGE, status)
            case _:
                return None

    async def _from_platform(self, proxied: ProxiedCall, fault: Fault | None) -> Reply:
        reply = await proxied.ask(self._app)
        proxied.entry.done = True
        body = reply.body
        changes = self._changes(proxied.call, fault)
        for change in changes:
            body = self._platform.edit(body, change)
        return reply.with_body(body) if changes else reply

    def _changes(self, call: Call, fault: Fault | None) -> list[Callable[[Any], Any]]:
        changes: list[Callable[[Any], Any]] = []
        sold = self._control.sold.of(call)
        if sold and call.name in self._platform.holding_calls:
            changes.append(without(sold))
        match fault.rule if fault is not None else None:
            case Partial(keep=keep):
                changes.append(first_part(keep))
            case Reshaped(kind="duplicate_rows"):
                changes.append(repeat_some)
            case Reshaped():
                changes.append(self._platform.wrong_shape(call.name))
        return changes


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read already, and then what comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _retry_after(response: Response, seconds: int | None) -> Response:
    if seconds is not None:
        response.headers["Retry-After"] = str(seconds)
    return response
