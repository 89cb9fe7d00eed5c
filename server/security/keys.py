"""Encryption keys as they are configured: their forms, a ring of them, and which are too weak."""

import base64
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise

KEY_BYTES = 32
SINGLE = "default"  # the id of the key given alone, as ENCRYPTION_KEY
ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
ADVICE = "`openssl rand -base64 32` makes one"

# 32 random bytes have 30 different ones, 32 random letters and digits 25; below this it is no accident.
_FEWEST_DIFFERENT = 19
_PLACEHOLDERS = (
    b"your", b"encryption", b"_key", b"-key", b" key", b"secret", b"change", b"default", b"example",
    b"sample", b"password", b"finlink", b"qwerty", b"123456",
)  # fmt: skip


def decode_key(text: str) -> bytes:
    """The 32 bytes of an encryption key given raw, as 64 hexadecimal digits or as base64.

    Raises ValueError, without the key in its message.
    """
    candidates = [text.encode()]
    with suppress(ValueError):
        candidates.append(bytes.fromhex(text))
    with suppress(ValueError):  # binascii.Error is one
        candidates.append(base64.b64decode(text, validate=True))
    for candidate in candidates:
        if len(candidate) == KEY_BYTES:
            return candidate
    raise ValueError(
        f"must be {KEY_BYTES} bytes, given raw, as 64 hexadecimal digits or as base64; "
        f"{len(text)} characters of none of these were given. `openssl rand -hex 32` makes one"
    )


def parse_keys(text: str) -> dict[str, bytes]:
    """The keys of `id:key,id:key`, in their order.

    Raises ValueError; its message names ids and places, never what could be a key.
    """
    keys: dict[str, bytes] = {}
    for number, entry in enumerate(text.split(","), 1):
        key_id, colon, encoded = entry.strip().partition(":")
        if not colon or not ID.fullmatch(key_id):
            raise ValueError(
                f"entry {number} is not of the form id:key, with an id of 1 to 32 letters, digits, "
                "- or _"
            )
        if key_id in keys:
            raise ValueError(f"the id {key_id} is there twice")
        try:
            key = decode_key(encoded)
        except ValueError as error:
            raise ValueError(f"the key {key_id} {error}") from None
        if key in keys.values():
            raise ValueError(f"the key {key_id} is there before under another id")
        keys[key_id] = key
    return keys


def ring_of(keys: Mapping[str, bytes], single: bytes | None) -> dict[str, bytes]:
    """The ring of ENCRYPTION_KEYS and ENCRYPTION_KEY. The first key encrypts, all decrypt.

    The single one comes last, under the id `default`: alone it does everything, beside others it only
    opens what it sealed. Raises ValueError where `default` stands for two keys.
    """
    ring = dict(keys)
    if single is not None and ring.setdefault(SINGLE, single) != single:
        raise ValueError(
            f"ENCRYPTION_KEYS has another key {SINGLE} than ENCRYPTION_KEY, which has that id; "
            "unset ENCRYPTION_KEY or give the other one another id"
        )
    return ring


def weakness(key: bytes, fewest_different: int = _FEWEST_DIFFERENT) -> str | None:
    """The reason why a key of 32 bytes or more is easy to guess; None if there is none."""
    size = len(key)
    if any(key == (key[:part] * size)[:size] for part in range(1, size // 2 + 1)):
        return "repeats itself"
    steps = Counter((after - before) % 256 for before, after in pairwise(key))
    if steps.most_common(1)[0][1] >= size // 2:
        return "is a sequence"
    if any(word in key.lower() for word in _PLACEHOLDERS):
        return "is a placeholder"
    if len(set(key)) < fewest_different:
        return "has too few different characters"
    return None
