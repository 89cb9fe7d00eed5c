"""The HTTP every platform call goes through: limits, time-outs, retries, and transport errors.

The meaning of a status or a body differs by platform, so adapters decide it. The meaning of a broken
connection is the same for all, so it is decided here.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError
from yarl import URL

from server.observability.logging import current_id
from server.observability.tracing import client_span
from server.platforms.base import (
    OverRateLimit,
    PlatformDataError,
    PlatformError,
    PlatformUnavailable,
    Throttled,
)
from server.platforms.metrics import PLATFORM_CALLS
from server.security.outgoing import proxy_for, tls_context

CALL_SECONDS = 7.0  # what Zerodha's own clients wait
_MOST_CONNECTIONS = 96
_IDLE_SECONDS = 5.0  # until a connection that nobody uses is closed
MOST_BYTES = 16 * 1024 * 1024
_LONGEST_WAIT = timedelta(days=1)

T = TypeVar("T")

# Any subclass counts as its nearest base here; a test walks aiohttp's tree for holes.
_TRANSPORT_ERRORS: tuple[tuple[type[Exception], type[PlatformError], str], ...] = (
    (aiohttp.InvalidURL, PlatformDataError, "has an address that is not valid"),
    (aiohttp.NonHttpUrlClientError, PlatformDataError, "has an address that is not HTTP"),
    (TimeoutError, PlatformUnavailable, "did not respond in time"),
    (ContentEncodingError, PlatformDataError, "sent a body that does not decompress"),
    (aiohttp.ClientError, PlatformUnavailable, "cannot be reached"),
    (ValueError, PlatformDataError, "cannot be sent this request"),
)


def transport_error(platform: str, error: Exception) -> PlatformError:
    """The error for a failure below HTTP. The original's text stays out: it may quote a header."""
    if isinstance(error.__cause__, ContentEncodingError):
        error = error.__cause__
    for kind, becomes, text in _TRANSPORT_ERRORS:
        if isinstance(error, kind):
            return becomes(f"{platform} {text} ({type(error).__name__})")
    raise error


class BrokenConnection(aiohttp.ClientError):
    """A connection ended before the reply came."""


async def once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keeps aiohttp from sending a request again by itself: rate limits count each one that goes out."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # nothing was sent
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise BrokenConnection from error


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str] = field(repr=False)  # whatever the case of its names
    body: bytes = field(repr=False)
    retry_after: timedelta | None = None

    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def raise_for_unavailable(self, platform: str) -> None:
        """429 and 5xx: later may work, whatever the body says."""
        if self.status == 429:
            raise Throttled(f"{platform} asks for fewer requests", self.retry_after)
        if self.status >= 500:
            raise PlatformUnavailable(f"{platform} returned {self.status}", self.retry_after)


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """`Retry-After` as seconds or as an HTTP date; None where it is absent or neither."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        # A wait of more digits than that is a day in any case, and would overflow.
        return min(timedelta(seconds=int(text[:9])), _LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return min(max(moment - now, timedelta(0)), _LONGEST_WAIT)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


@dataclass(frozen=True, slots=True)
class Retry:
    """Few and quick: a sync comes again by itself, so a call need not outlast an outage.

    For calls that may be made twice only. If the platform asks for a wait longer than `longest_wait`, or
    our own limit does, the error is raised at once: the caller should wait elsewhere.
    """

    attempts: int = 3
    longest_wait: timedelta = timedelta(seconds=2)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def __call__(self, attempt: Callable[[], Awaitable[T]]) -> T:
        for number in range(1, self.attempts):
            try:
                return await attempt()
            except PlatformUnavailable as error:
                asked = error.retry_after or timedelta(0)
                if isinstance(error, OverRateLimit) or asked > self.longest_wait:
                    raise
                await self.sleep(max(_pause(number), asked.total_seconds()))
        return await attempt()

    async def poll(
        self, question: Callable[[], Awaitable[T]], settled: Callable[[T], bool], most: int
    ) -> T:
        """Ask until the reply is settled, at most so many times; the last reply."""
        for number in range(1, most):
            if settled(reply := await question()):
                return reply
            await self.sleep(_pause(number))
        return await question()


def _pause(number: int) -> float:
    """Seconds after attempt `number`: at random, so that callers who failed together do not come together."""
    return random.uniform(0, min(0.1 * 2 ** (number - 1), 1.0))  # noqa: S311


@dataclass
class Wire:
    """One platform's HTTP client, for use in one event loop.

    `name` is the platform's in metrics and traces, `platform` in errors.
    """

    name: str
    platform: str
    base_url: str
    clock: Callable[[], datetime]
    call_seconds: float = CALL_SECONDS
    most_bytes: int = MOST_BYTES
    _session: aiohttp.ClientSession | None = field(default=None, init=False)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=_MOST_CONNECTIONS,
                    keepalive_timeout=_IDLE_SECONDS,
                    # To read all authorities takes longer than all the rest.
                    ssl=tls_context() if URL(self.base_url).scheme == "https" else True,
                ),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(3.0, self.call_seconds)),
                # It serves all users: a cookie set for one must not go out with another's call.
                cookie_jar=aiohttp.DummyCookieJar(),
                proxy=proxy_for(self.base_url),
                middlewares=(once,),
            )
        return self._session

    async def send(
        self,
        method: str,
        url: str,
        *,
        call: str,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        enough: Callable[[bytes], bool] = lambda chunk: False,
    ) -> Reply:
        """One request, its whole reply within the time and size allowed.

        `call` is its name in metrics and traces, without ids or secrets. `enough` sees each chunk
        of the body and may end the reading: an event stream need not end by itself.

        Raises PlatformUnavailable or PlatformDataError, never for a status.
        """
        sent = dict(headers or {})
        if (about := current_id()) is not None:
            sent["x-request-id"] = about
        with self._observed(call) as outcome:
            reply = await self._send(
                enough, method, url, headers=sent, params=params, data=content or form
            )
            outcome.append(f"{reply.status // 100}xx")
        return reply

    @contextmanager
    def _observed(self, call: str) -> Iterator[list[str]]:
        """Count and trace a call; its outcome is added inside, unless it is an error."""
        started, outcome = time.perf_counter(), list[str]()
        attributes = {"finlink.platform": self.name, "finlink.call": call}
        try:
            with client_span(f"{self.name} {call}", attributes) as span:
                yield outcome
                span.set_attribute("finlink.outcome", outcome[0])
        except BaseException as error:
            outcome.append(type(error).__name__)
            raise
        finally:
            seconds = time.perf_counter() - started
            PLATFORM_CALLS.labels(self.name, call, outcome[0]).observe(seconds)

    async def _send(
        self, enough: Callable[[bytes], bool], method: str, url: str, **content: Any
    ) -> Reply:
        try:
            async with (
                asyncio.timeout(self.call_seconds),
                self._opened().request(method, url, allow_redirects=False, **content) as response,
            ):
                body = await self._read(response.content, enough)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise transport_error(self.platform, error) from None
        wait = parse_retry_after(response.headers.get("retry-after"), self.clock())
        return Reply(response.status, response.headers, body, wait)

    async def _read(self, content: aiohttp.StreamReader, enough: Callable[[bytes], bool]) -> bytes:
        body = bytearray()
        async for chunk in content.iter_any():
            body += chunk
            if len(body) > self.most_bytes:
                raise PlatformDataError(
                    f"{self.platform} sent more than {self.most_bytes} bytes in one reply"
                )
            if enough(chunk):
                break
        return bytes(body)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
