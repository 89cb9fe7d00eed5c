"""How passwords are stored, and how one is compared with what is stored.

`fl1$PEPPER$` and the bcrypt hash of base64(HMAC-SHA-384(pepper, password)). These are 64 bytes, so bcrypt
cuts nothing off, and a hash is of no use without the pepper, which is kept elsewhere. The password is in
Unicode's form NFC: keyboards send the same letters in different forms.
"""

import base64
import hmac
import re
import unicodedata
from collections.abc import Mapping

import bcrypt
import structlog

from server.security.keys import ID, KEY_BYTES

_log = structlog.stdlib.get_logger("finlink.identity")

LEAST_ROUNDS, MOST_ROUNDS = 4, 15
MOST_ROUNDS_IMPORTED = 14
_MOST_BYTES = 72  # that bcrypt reads
# Salt and checksum. Their last characters have bits that are always 0; other forms match no password.
_ENCODED = r"[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{30}[.CGKOSWaeimquy26]"
_OWN = re.compile(
    rf"fl1\$(?P<pepper>{ID.pattern})\$(?P<bcrypt>\$2b\$(?P<rounds>[0-9]{{2}})\${_ENCODED})"
)
_IMPORTED = re.compile(rf"\$2[aby]\$(?P<rounds>[0-9]{{2}})\${_ENCODED}")


class PasswordScheme:
    """Its methods take as long as bcrypt does: `PasswordHashing` calls them in threads."""

    def __init__(self, peppers: Mapping[str, bytes], current: str, rounds: int) -> None:
        """`peppers` are 32 bytes each, by id; new hashes are made with the `current` one.

        `rounds` is the base-2 logarithm of bcrypt's work. Raises ValueError.
        """
        if not all(ID.fullmatch(each) for each in peppers):
            raise ValueError("the id of a pepper must be 1 to 32 letters, digits, - or _")
        if any(len(pepper) != KEY_BYTES for pepper in peppers.values()):
            raise ValueError(f"a pepper must have {KEY_BYTES} bytes")
        if current not in peppers:
            raise ValueError(f"there is no pepper {current}")
        if not LEAST_ROUNDS <= rounds <= MOST_ROUNDS:
            raise ValueError(f"the rounds must be {LEAST_ROUNDS} to {MOST_ROUNDS}")
        self._peppers = dict(peppers)
        self._current = current
        self.rounds = rounds
        # A hash of no password: it costs the same as one of a user.
        self._dummy = bcrypt.gensalt(rounds) + b"." * 31

    def hash(self, password: str) -> str:
        """The hash to store, with a salt of its own."""
        hashed = bcrypt.hashpw(self._key(password, self._current), bcrypt.gensalt(self.rounds))
        return f"fl1${self._current}${hashed.decode()}"

    def verify(self, password: str, stored: str | None) -> bool:
        """Whether `stored` is of this password. Without a hash, or with one that must not be checked, the
        result is False after the same work. One bcrypt check is done in every case."""
        comparison = None if stored is None else self._comparison(password, stored)
        key, hashed = comparison or (self._key(password, self._current), self._dummy)
        return bcrypt.checkpw(key, hashed) and comparison is not None

    def needs_renewal(self, stored: str) -> bool:
        """Whether the password should be stored again once it is known: the hash was imported, or made with
        another pepper or at another cost."""
        own = _OWN.fullmatch(stored)
        return own is None or (own["pepper"], int(own["rounds"])) != (self._current, self.rounds)

    def _comparison(self, password: str, stored: str) -> tuple[bytes, bytes] | None:
        """The bytes that bcrypt compares with a hash; None where it must not, or cannot match."""
        if own := _OWN.fullmatch(stored):
            if own["pepper"] not in self._peppers:
                _log.error("password hash has an unknown pepper", pepper=own["pepper"])
                return None
            if not _are_within(own["rounds"], MOST_ROUNDS):
                return None
            return self._key(password, own["pepper"]), own["bcrypt"].encode()
        imported = _IMPORTED.fullmatch(stored)
        if imported is None or not _are_within(imported["rounds"], MOST_ROUNDS_IMPORTED):
            return None
        # The other system cut longer ones off, and many ended them at a NUL: its hash is of another text.
        plain = password.encode()
        return None if len(plain) > _MOST_BYTES or 0 in plain else (plain, stored.encode())

    def _key(self, password: str, pepper: str) -> bytes:
        text = unicodedata.normalize("NFC", password)
        return base64.b64encode(hmac.digest(self._peppers[pepper], text.encode(), "sha384"))


def check_importable(stored: str) -> None:
    """Raise ValueError, with what would be right, if a hash of another system cannot be imported."""
    imported = _IMPORTED.fullmatch(stored)
    if imported is None:
        raise ValueError("must be a whole bcrypt hash that begins with $2a$, $2b$ or $2y$")
    if not _are_within(imported["rounds"], MOST_ROUNDS_IMPORTED):
        raise ValueError(f"must have a cost of {LEAST_ROUNDS} to {MOST_ROUNDS_IMPORTED}")


def _are_within(rounds: str, most: int) -> bool:
    return LEAST_ROUNDS <= int(rounds) <= most
