"""Resume tokens: a position in the changes, opaque to callers.

They are no secrets, and not bound to an owner: a position is the same for all who watch a collection.
"""

import base64
import hashlib

from server.core.errors import InvalidRequest

_CHECK = 6  # bytes that mark a token


def encode(position: str) -> str:
    """The token of a position, which is hexadecimal."""
    content = bytes.fromhex(position)
    return base64.urlsafe_b64encode(_check(content) + content).decode().rstrip("=")


def decode(token: str) -> str:
    """The position of a token. Raises InvalidRequest naming `resumeToken`."""
    try:
        padded = token + "=" * (-len(token) % 4)
        whole = base64.b64decode(padded, altchars=b"-_", validate=True)
        check, content = whole[:_CHECK], whole[_CHECK:]
        if not content or check != _check(content):
            raise ValueError(token)
    except ValueError:
        raise InvalidRequest.of("resumeToken", "is not a resume token of a watch") from None
    return content.hex().upper()


def _check(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:_CHECK]
