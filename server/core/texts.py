"""Texts as people write them."""

import unicodedata

from server.core.errors import InvalidRequest


def tidied(text: str) -> str:
    """A text without spaces around it, its characters in the composed form (NFC)."""
    return unicodedata.normalize("NFC", text).strip()


def needed(text: str, field: str) -> str:
    """The same of one that must say something. Raises InvalidRequest naming `field`."""
    if not (found := tidied(text)):
        raise InvalidRequest.of(field, "must not be empty")
    return found
