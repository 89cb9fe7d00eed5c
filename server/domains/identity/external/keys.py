"""The keys with which a provider signs, fetched again for one that is not known."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwk
from joserfc.errors import JoseError

from server.core.clock import Clock
from server.domains.identity.external import metrics
from server.domains.identity.external.http import ProviderHttp
from server.domains.identity.external.model import ExternalFailure
from server.domains.identity.tokens.shared_read import SharedRead

FETCHED_EVERY = timedelta(minutes=1)  # at most, for keys that are not known
GOOD_FOR = timedelta(hours=1)  # so that a key that is dropped is dropped here
_MOST_KEYS = 100
# By the algorithm's first letters.
_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class ProviderKeys:
    def __init__(self, provider: str, http: ProviderHttp, clock: Clock) -> None:
        self._provider = provider  # its name
        self._http = http
        self._clock = clock
        self._keys: list[jwk.Key] = []
        self._fetched_at: datetime | None = None
        self._url = ""
        self._fetching = SharedRead(self._fetch)

    async def find(self, url: str, key_id: str | None, algorithm: str) -> jwk.Key:
        """The key of an ID token. Raises ExternalFailure, ProviderDown."""
        self._url = url
        if self._is_older_than(GOOD_FOR) or (
            self._of(key_id, algorithm) is None and self._is_older_than(FETCHED_EVERY)
        ):
            await self._fetching.next()
        key = self._of(key_id, algorithm)
        if key is None:
            raise ExternalFailure("the ID token's key is not among the provider's")
        return key

    def _is_older_than(self, age: timedelta) -> bool:
        return self._fetched_at is None or self._clock.now() - self._fetched_at >= age

    def _of(self, key_id: str | None, algorithm: str) -> jwk.Key | None:
        """The one that a token names, or, if it names none, the only one that it can be."""
        fitting = [key for key in self._keys if _fits(key, algorithm)]
        if key_id is not None:
            fitting = [key for key in fitting if key.get("kid") == key_id]
        return fitting[0] if len(fitting) == 1 else None

    async def _fetch(self) -> None:
        fetched_at = self._clock.now()
        with metrics.counted(self._provider, "keys"):
            listed = await self._listed()
        self._keys = [key for each in listed if (key := _read(each)) is not None]
        self._fetched_at = fetched_at

    async def _listed(self) -> list[Any]:
        reply = await self._http.get(self._url, "the keys")
        if reply.status != 200:
            raise ExternalFailure(f"the keys: HTTP {reply.status}")
        listed = reply.json("the list of keys").get("keys")
        if not isinstance(listed, list) or len(listed) > _MOST_KEYS:
            raise ExternalFailure("the list of keys is none")
        return listed


def _read(document: Any) -> jwk.Key | None:
    """A public key; one of a kind that is not known is ignored, as RFC 7517 says."""
    if not isinstance(document, Mapping) or document.get("kty") not in _KINDS.values():
        return None
    try:
        return jwk.import_key(dict(document))
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _fits(key: jwk.Key, algorithm: str) -> bool:
    return (
        key.key_type == _KINDS[algorithm[:2]]
        and key.get("use") in {None, "sig"}
        and key.get("alg") in {None, algorithm}
    )
