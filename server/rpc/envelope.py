"""The envelope of every JSON reply over REST: `success`, and the time of the reply as `timestamp`.

gRPC messages have neither, so they are added here, to the text. Streams, files and webhooks go without.
"""

import json
import time
from collections.abc import Mapping
from functools import lru_cache

from server.rpc.json_form import http_body

_END_BYTES = len('2026-01-15T10:30:00.000Z"}')


def now() -> str:
    """The time in RFC 3339, to the millisecond."""
    return _written(time.time_ns() // 1_000_000)


@lru_cache(1)  # a busy worker sends several replies in a millisecond
def _end(milliseconds: int) -> bytes:
    return f'{_written(milliseconds)}"}}'.encode()


def _written(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_to_the_second(seconds)}.{rest:03}Z"


@lru_cache(1)  # of all the writing of a time the longest part
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def reply(text: str, *, success: bool = True) -> bytes:
    """A reply, given as a JSON object, serialized for Envoy. It ends with its timestamp."""
    fields = text[1:-1] and f",{text[1:-1]}"
    word = "true" if success else "false"
    return http_body("application/json", f'{{"success":{word}{fields},"timestamp":"{now()}"}}')


def at_present(reply: bytes) -> bytes:
    """A reply of `reply` that was kept, with the time of now."""
    return reply[:-_END_BYTES] + _end(time.time_ns() // 1_000_000)


def failure(error: Mapping[str, object]) -> str:
    """An error in ASCII, fit for a header; envoy.yaml puts it into the body."""
    body = {"success": False, "error": error, "timestamp": now()}
    return json.dumps(body, ensure_ascii=True, separators=(",", ":"))
