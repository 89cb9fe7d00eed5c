"""The facts of the call being served, for everything that logs it or replies to it."""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from server.cache.responses import Shown
from server.core.errors import InvalidRequest
from server.core.events import Actor
from server.core.idempotency import KeyedCall, KeyedReply
from server.core.principals import NOBODY, Principal

# Envoy sets these on what it transcodes and strips them from what callers send, on both ports.
ORIGINAL_PATH = "x-envoy-original-path"
ORIGINAL_METHOD = "x-envoy-original-method"
REQUEST_ID = "x-request-id"
IDEMPOTENCY_KEY = "idempotency-key"
# Of a REST client that comes back to a stream of server-sent events.
LAST_EVENT_ID = "last-event-id"
# Of the body, as its REST caller named it; `content-type` itself is Envoy's.
CONTENT_TYPE = "x-finlink-content-type"
CONTENT_ENCODING = "content-encoding"
API_KEY = "x-api-key"
AUTHORIZATION = "authorization"
ON_BEHALF_OF = "x-on-behalf-of"
COOKIE = "cookie"
TRACEPARENT = "traceparent"
USER_AGENT = "user-agent"
# Set by Envoy alone, for stubs that showed a certificate.
CLIENT_CERTIFICATE = "x-forwarded-client-cert"
MAX_TEXT = 200  # of what a caller says of itself

_SUBJECT = re.compile(r'Subject="([^"]*)"')

T = TypeVar("T")
R = TypeVar("R")
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
# Serves a call: bytes go in at the outer end, messages inside of decoding.
Handler: TypeAlias = Callable[[Any, Context], Awaitable[bytes]]
# The same inside of encoding, down to the servicer.
Serving: TypeAlias = Callable[[Any, Context], Awaitable[Message]]

# A use case that changes something; it is given the reply to store with the change.
Change: TypeAlias = Callable[[KeyedReply | None], Awaitable[T]]


@dataclass(slots=True)
class Call:
    """One call. `code` is the contract's error code, `OK` until something fails.

    `sent` counts the messages of a server stream.
    """

    method: str
    request_id: str
    rest_target: str | None  # the path and query a REST client called; None over gRPC
    peer: str
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold credentials
    repeated: Collection[str] = ()  # names in it that came more than once
    principal: Principal = NOBODY  # once the call has been let in
    code: str = "OK"
    sent: int = 0
    fails: bool = False  # the reply reports a failure of what the call is about
    facts: dict[str, object] = field(default_factory=dict)
    cached: str | None = None  # hit or miss, where the reply may be cached
    raw: bytes | None = field(default=None, repr=False)  # the request in that case
    shown: Shown | None = None
    keyed: KeyedCall | None = field(default=None, repr=False)  # of a change with an idempotency key
    # Headers of the reply, of an error too; a name may come more than once.
    reply_headers: list[tuple[str, str]] = field(default_factory=list, repr=False)

    def actor(self) -> Actor:
        """Who calls, for the audit trail."""
        subject = _SUBJECT.search(self.metadata.get(CLIENT_CERTIFICATE, ""))
        principal = self.principal
        user, behalf = principal.signed_in, principal.on_behalf_of
        return Actor(
            "caller",
            address=self.peer[:MAX_TEXT],
            key=principal.key.name if principal.key else None,
            certificate=subject[1][:MAX_TEXT] if subject else None,
            user_agent=self.metadata.get(USER_AGENT, "")[:MAX_TEXT] or None,
            request_id=self.request_id,
            user_id=user.user_id if user else None,
            session_id=user.session_id if user else None,
            on_behalf_of=behalf.user_id if behalf else None,
        )

    def header(self, name: str) -> str | None:
        """The value of a header. Raises InvalidRequest where it came twice."""
        if name in self.repeated:
            raise InvalidRequest.of(name.title(), "must be given once")
        return self.metadata.get(name)

    @property
    def is_rest(self) -> bool:
        return self.rest_target is not None

    @property
    def is_head(self) -> bool:
        """Whether a REST caller wants the reply to GET without its body, which Envoy leaves out."""
        return self.is_rest and self.metadata.get(ORIGINAL_METHOD) == "HEAD"

    @property
    def rest_path(self) -> str:
        return (self.rest_target or "").partition("?")[0]

    @property
    def rest_query(self) -> str:
        return (self.rest_target or "").partition("?")[2]


_current: ContextVar[Call] = ContextVar("finlink_call")


def current_call() -> Call:
    """The call being served. Raises LookupError outside of one."""
    return _current.get()


def enter_call(call: Call) -> None:
    """Make `call` the current one for this task and those it starts."""
    _current.set(call)


def reply_is_failing() -> None:
    """The reply reports a failure: over REST with the RPC's `failing_status`, and without success."""
    _current.get().fails = True


def reply_shows(shown: Shown) -> None:
    """Say what the reply to the current call is made of; without that it is not cached."""
    _current.get().shown = shown


async def replied(change: Change[T], build: Callable[[T], R]) -> R:
    """The reply to a change, built of what the use case returns; the use case stores it with the change."""
    keyed = _current.get().keyed
    return build(await change(None if keyed is None else KeyedReply(keyed, build)))
