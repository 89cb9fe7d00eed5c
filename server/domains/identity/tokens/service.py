"""Access tokens: issued, and verified once a worker and life."""

from collections import OrderedDict
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeAlias

from server.core.clock import Clock
from server.core.errors import SessionEnded, TokenExpired
from server.core.health import Finding
from server.core.principals import SignedIn
from server.domains.identity.tokens.access_tokens import MAX_BYTES, TokenForm, refused
from server.domains.identity.tokens.model import LEEWAY, Facts, TokenBearer
from server.domains.identity.tokens.revocations import Revocations, place_of_user
from server.domains.identity.tokens.signing_keys import SigningKeys

MAX_VERIFIED = 20_000  # tokens that a worker remembers, some 20 MB

# A token's bearer, the place of its user in the table of generations, and when it expires (POSIX).
_Verified: TypeAlias = tuple[TokenBearer, int, float]


class AccessTokens:
    """Implements what `principals.SignIns` says of tokens. Driver errors pass through."""

    def __init__(
        self,
        form: TokenForm,
        keys: SigningKeys,
        revocations: Revocations,
        algorithm: str,
        clock: Clock,
    ) -> None:
        self._form = form
        self._keys = keys
        self._revocations = revocations
        self._algorithm = algorithm
        self._clock = clock
        # By the SHA-256 of a token; the oldest first.
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    async def issue(self, facts: Facts, as_of: datetime | None = None) -> tuple[str, int]:
        """A token, and the seconds after which it expires.

        `as_of`: a moment before the facts were read, for which the token is dated: if they change meanwhile,
        it is known to be from before that. None is now.
        """
        if not self.are_fresh:
            await self.read()  # a key may have been dropped
        key = await self._keys.signing()
        token = self._form.write(facts, as_of or self._clock.now(), key)
        return token, int(self._form.life.total_seconds())

    @property
    def are_fresh(self) -> bool:
        return self._revocations.are_fresh

    async def read(self) -> None:
        await self._revocations.read()

    async def health(self) -> Finding:
        """Whether tokens can be signed and checked now; raises what is in the way."""
        if not self.are_fresh:
            await self.read()
        await self._keys.signing()
        return Finding()

    async def by_token(self, token: str) -> TokenBearer:
        """Raises Unauthenticated, TokenExpired, SessionEnded."""
        raw = _bytes(token)
        if not self.are_fresh:
            await self.read()
        digest = sha256(raw).digest()
        known = self._verified.get(digest)
        if known is None or known[2] <= self._clock.timestamp():
            known = await self._verify(raw, digest)
        bearer, place, _ = known
        if not self._revocations.is_current_for(place):
            await self._revocations.read_again()
        self._revocations.check(bearer)
        return bearer

    def check(self, signed_in: SignedIn) -> None:
        """Raises TokenExpired, SessionEnded; for streams, which end at the time of their token."""
        self._revocations.check(signed_in)
        if signed_in.expires_at <= self._clock.now():
            raise SessionEnded if signed_in.kind == "cookie" else TokenExpired

    async def signed_by_finlink(self, token: str) -> TokenBearer:
        """Whose token it is or was, also if it has expired or its session has ended: for signing out.

        Raises Unauthenticated, and TokenExpired if its key was dropped.
        """
        return await self._read(_bytes(token))

    async def jwks(self) -> dict[str, Any]:
        """The set of RFC 7517 by which others verify tokens: public halves only."""
        return {
            "keys": [
                key.key.as_dict(private=False, kid=key.id, alg=key.algorithm, use="sig")
                for key in await self._keys.published()
            ]
        }

    async def _verify(self, raw: bytes, digest: bytes) -> _Verified:
        self._verified.pop(digest, None)
        bearer = await self._read(raw)
        now = self._clock.now()
        known = bearer, place_of_user(bearer.user), bearer.expires_at.timestamp()
        if bearer.expires_at > now:
            self._verified[digest] = known
            if len(self._verified) > MAX_VERIFIED:
                self._verified.popitem(last=False)
        elif bearer.expires_at + LEEWAY <= now:
            raise TokenExpired
        return known

    async def _read(self, raw: bytes) -> TokenBearer:
        key_id = self._form.key_id(raw, self._algorithm)
        key = await self._keys.find(key_id)
        if key is not None:
            return self._form.read(raw, key, self._clock.now())
        if self._revocations.has_key(key_id):  # dropped, so nobody can say more about the token
            raise TokenExpired
        raise refused("kid")


def _bytes(token: str) -> bytes:
    if len(token) > MAX_BYTES or not token.isascii():
        raise refused("form")
    return token.encode()
