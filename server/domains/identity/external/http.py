"""HTTP with outside providers: short, bounded, and never redirected."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from server.domains.identity.external.model import ExternalFailure, ProviderDown
from server.security.outgoing import proxy_for, tls_context

CALL_SECONDS = 5.0
MOST_BYTES = 256 * 1024
_CONNECT_SECONDS = 3.0
_IDLE_SECONDS = 5.0
_MOST_CONNECTIONS = 20


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes = field(repr=False)

    def json(self, what: str) -> dict[str, Any]:
        """The object that the body is. Raises ExternalFailure."""
        try:
            value = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ExternalFailure(f"{what} is no JSON") from None
        if not isinstance(value, dict):
            raise ExternalFailure(f"{what} is no JSON object")
        return value


class ProviderHttp:
    """The HTTP client for one provider, for use in one event loop."""

    def __init__(self, *, only_https: bool, seconds: float = CALL_SECONDS) -> None:
        self._only_https = only_https
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, what: str, headers: Mapping[str, str] | None = None) -> Reply:
        return await self._send("GET", url, what, headers=headers)

    async def post(
        self, url: str, what: str, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> Reply:
        return await self._send("POST", url, what, data=form, headers=headers)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=_MOST_CONNECTIONS,
                    keepalive_timeout=_IDLE_SECONDS,
                    ssl=tls_context() if self._only_https else True,
                ),
                timeout=aiohttp.ClientTimeout(total=self._seconds, sock_connect=_CONNECT_SECONDS),
                # It serves all users: a cookie set for one must not go out with another's call.
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def _send(self, method: str, url: str, what: str, **content: Any) -> Reply:
        """`what` names the call in errors, whose texts have no address: it may have a secret in it.

        Raises ProviderDown for what may work later, ExternalFailure for a redirect and a reply too large.
        """
        if self._only_https and not url.startswith("https://"):
            raise ExternalFailure(f"the address of {what} is not https")
        try:
            # A redirect would take the secret elsewhere.
            async with self._opened().request(
                method, url, allow_redirects=False, proxy=proxy_for(url), **content
            ) as response:
                body = await _read(response.content, what)
                status = response.status
        except (aiohttp.ClientError, OSError, ValueError) as error:  # time-outs are an OSError
            raise ProviderDown(f"{what}: {type(error).__name__}") from None
        if status == 429 or status >= 500:
            raise ProviderDown(f"{what}: HTTP {status}")
        if 300 <= status < 400:
            raise ExternalFailure(f"{what} is redirected")
        return Reply(status, body)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


async def _read(content: aiohttp.StreamReader, what: str) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > MOST_BYTES:
            raise ExternalFailure(f"{what} is larger than {MOST_BYTES} bytes")
    return bytes(body)
