"""SMS, by a provider's HTTP API."""

from datetime import timedelta

import aiohttp

from server.delivery.errors import NotSent, Refused
from server.delivery.message import Outgoing
from server.security.outgoing import proxy_for, tls_context

CALL_SECONDS = 10.0
_IDLE_SECONDS = 5.0
_LATER = frozenset({408, 429})  # 4xx that may be taken later
_LONGEST_WAIT = timedelta(days=1)


class SmsTransport:
    """POSTs `{to, from, text, reference}`. A provider may drop a `reference` that it has seen."""

    def __init__(self, url: str, token: str, sender: str) -> None:
        self._url = url
        self._token = token
        self._sender = sender
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    keepalive_timeout=_IDLE_SECONDS,
                    ssl=tls_context() if self._url.startswith("https:") else True,
                ),
                timeout=aiohttp.ClientTimeout(total=CALL_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                proxy=proxy_for(self._url),
            )
        return self._session

    async def send(self, message: Outgoing) -> None:
        """See `Transport`. 4xx is final, except for 408 and 429."""
        content = {
            "to": message.to,
            "from": self._sender,
            "text": message.text,
            "reference": message.reference,
        }
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            # A redirect would take the token elsewhere.
            async with self._opened().post(
                self._url, json=content, headers=headers, allow_redirects=False
            ) as response:
                status, wait = response.status, response.headers.get("retry-after")
        except TimeoutError:
            raise NotSent("TIMEOUT") from None
        except (aiohttp.ClientError, OSError) as error:
            raise NotSent(type(error).__name__) from None  # its text may have the address
        if 200 <= status < 300:
            return
        if 400 <= status < 500 and status not in _LATER:
            raise Refused(f"HTTP_{status}")
        raise NotSent(f"HTTP_{status}", _seconds(wait))

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


def _seconds(retry_after: str | None) -> timedelta | None:
    """Of `Retry-After` in seconds; a date is not waited for."""
    text = (retry_after or "").strip()
    if not (text.isascii() and text.isdigit()):
        return None
    return min(timedelta(seconds=int(text[:9])), _LONGEST_WAIT)
