"""The HTTP every platform call goes through: limits, time-outs, retries, and transport errors.

What a status or a body means differs by platform and is decided by the adapters. What a broken
connection means does not, and is decided here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    retry_if_result,
    stop_after_attempt,
)
from tenacity.wait import wait_base, wait_random_exponential

from server.connectors.platforms.base import (
    OverBudget,
    PlatformDataError,
    PlatformError,
    PlatformUnavailable,
    Throttled,
)
from server.observability import metrics
from server.observability.logging import current_id
from server.observability.tracing import client_span

# Both libraries log addresses or response headers, and some of those are secrets: Kite ends a
# session with its token in the query, Fi's session id is a header.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

CALL_SECONDS = 7.0  # what Zerodha's own clients wait
# Each call looks at all connections of its client, several times: few each cost less than many in one.
_CLIENTS = 8
MOST_BYTES = 16 * 1024 * 1024
_LONGEST_WAIT = timedelta(days=1)

T = TypeVar("T")

# Any subclass counts as its nearest base here; a test walks httpx's tree for holes.
_TRANSPORT_ERRORS: tuple[tuple[type[Exception], type[PlatformError], str], ...] = (
    (httpx.TimeoutException, PlatformUnavailable, "did not answer in time"),
    (httpx.LocalProtocolError, PlatformDataError, "cannot be sent this request"),
    (httpx.UnsupportedProtocol, PlatformDataError, "has an address that is not HTTP"),
    (httpx.InvalidURL, PlatformDataError, "has an address that is not valid"),
    (httpx.DecodingError, PlatformDataError, "sent a body that does not decompress"),
    (httpx.TooManyRedirects, PlatformDataError, "redirects without end"),
    (httpx.TransportError, PlatformUnavailable, "cannot be reached"),
)


def transport_error(platform: str, error: Exception) -> PlatformError:
    """What a failure below HTTP means. The original's text stays out: it may quote a header."""
    for kind, becomes, text in _TRANSPORT_ERRORS:
        if isinstance(error, kind):
            return becomes(f"{platform} {text} ({type(error).__name__})")
    raise error


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)
    retry_after: timedelta | None = None

    def content_type(self) -> str:
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    def raise_for_unavailable(self, platform: str) -> None:
        """429 and 5xx: later may work, whatever the body says."""
        if self.status == 429:
            raise Throttled(f"{platform} asks for fewer requests", self.retry_after)
        if self.status >= 500:
            raise PlatformUnavailable(f"{platform} answered {self.status}", self.retry_after)


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


def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own, by name or number."""
    try:
        host = httpx.URL(url).host
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except (httpx.InvalidURL, ValueError):
        return False


@dataclass(frozen=True, slots=True)
class Retry:
    """Few and quick: a sync comes again by itself, so a call need not outlast an outage.

    For what may be asked twice only. A platform that asks for a longer wait than `patience` is
    left alone, and a budget is not asked again: whoever waits for it should wait elsewhere.
    """

    attempts: int = 3
    wait: wait_base = field(default_factory=lambda: wait_random_exponential(0.1, max=1.0))
    patience: timedelta = timedelta(seconds=2)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def __call__(self, attempt: Callable[[], Awaitable[T]]) -> T:
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.attempts),
            retry=retry_if_exception(self._worth_it),
            wait=self._pause,
            sleep=self.sleep,
            reraise=True,
        )
        return await retrying(_coroutine_function(attempt))

    async def poll(
        self, question: Callable[[], Awaitable[T]], settled: Callable[[T], bool], most: int
    ) -> T:
        """Ask until the answer is settled, at most so many times; the last answer."""
        polling = AsyncRetrying(
            stop=stop_after_attempt(most),
            retry=retry_if_result(lambda answer: not settled(answer)),
            wait=self.wait,
            sleep=self.sleep,
            retry_error_callback=_last_answer,
        )
        return await polling(_coroutine_function(question))

    def _worth_it(self, error: BaseException) -> bool:
        if not isinstance(error, PlatformUnavailable) or isinstance(error, OverBudget):
            return False
        return error.retry_after is None or error.retry_after <= self.patience

    def _pause(self, state: RetryCallState) -> float:
        asked = None if state.outcome is None else state.outcome.exception()
        least = asked.retry_after if isinstance(asked, PlatformUnavailable) else None
        return max(self.wait(state), (least or timedelta(0)).total_seconds())


def _coroutine_function(call: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
    """tenacity awaits only what is declared `async`; a lambda that returns an awaitable is not."""

    async def awaited() -> T:
        return await call()

    return awaited


def _last_answer(state: RetryCallState) -> Any:
    return None if state.outcome is None else state.outcome.result()


class Wire:
    """One platform's HTTP clients."""

    def __init__(
        self,
        platform: str,
        base_url: str,
        clock: Callable[[], datetime],
        *,
        call_seconds: float = CALL_SECONDS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._platform = platform
        self._clock = clock
        self._call_seconds = call_seconds
        self._most_bytes = most_bytes
        # A proxy named by the environment is for the world, not for this machine.
        trust_env = not is_loopback(base_url)
        context = httpx.create_ssl_context(trust_env=trust_env)
        self._clients = [
            httpx.AsyncClient(
                verify=context,
                timeout=httpx.Timeout(call_seconds, connect=min(3.0, call_seconds)),
                limits=httpx.Limits(max_connections=12, max_keepalive_connections=3),
                follow_redirects=False,
                # A client serves all users: a cookie set for one must not go out with another's call.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                trust_env=trust_env,
            )
            for _ in range(_CLIENTS)
        ]
        self._calls = [0] * _CLIENTS  # under way

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
        """One request, its whole answer within the time and size allowed.

        `call` is its name in metrics and traces, without ids or secrets. `enough` sees each chunk
        of the body and may end the reading: an event stream need not end by itself.

        Raises PlatformUnavailable or PlatformDataError, never for a status.
        """
        with self._observed(call) as outcome:
            reply = await self._send(
                enough, method, url, headers=headers, params=params, data=form, content=content
            )
            outcome.append(f"{reply.status // 100}xx")
        return reply

    @contextmanager
    def _observed(self, call: str) -> Iterator[list[str]]:
        """Count and trace a call; its outcome is added inside, unless it is an error."""
        started, outcome = time.perf_counter(), list[str]()
        platform = self._platform.lower().replace(" ", "_")  # as the contract has it
        attributes = {"finlink.platform": platform, "finlink.call": call}
        try:
            with client_span(f"{platform} {call}", attributes) as span:
                yield outcome
                span.set_attribute("finlink.outcome", outcome[0])
        except BaseException as error:
            outcome.append(type(error).__name__)
            raise
        finally:
            seconds = time.perf_counter() - started
            metrics.PLATFORM_CALLS.labels(platform, call, outcome[0]).observe(seconds)

    async def _send(
        self, enough: Callable[[bytes], bool], method: str, url: str, **content: Any
    ) -> Reply:
        chosen = min(range(_CLIENTS), key=self._calls.__getitem__)
        client = self._clients[chosen]
        self._calls[chosen] += 1
        try:
            async with asyncio.timeout(self._call_seconds):
                request = client.build_request(method, url, **content)
                if (about := current_id()) is not None:
                    request.headers["x-request-id"] = about
                response = await client.send(request, stream=True)
                try:
                    body = await self._read(response, enough)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise PlatformUnavailable(f"{self._platform} did not answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise transport_error(self._platform, error) from None
        finally:
            self._calls[chosen] -= 1
        wait = parse_retry_after(response.headers.get("retry-after"), self._clock())
        return Reply(response.status_code, response.headers, body, wait)

    async def _read(self, response: httpx.Response, enough: Callable[[bytes], bool]) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._most_bytes:
                raise PlatformDataError(
                    f"{self._platform} sent more than {self._most_bytes} bytes in one answer"
                )
            if enough(chunk):
                break
        return bytes(body)

    async def aclose(self) -> None:
        for client in self._clients:
            await client.aclose()
