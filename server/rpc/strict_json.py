"""JSON read strictly: what a lenient parser lets pass is reported with the place it stands at."""

import json
from typing import Any


class JsonObject(dict[str, Any]):
    """A JSON object that remembers which of its keys came more than once."""

    __slots__ = ("repeated",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        self.repeated: set[str] = set()
        for key, _ in pairs:
            (self.repeated if key in seen else seen).add(key)


class NotANumber:
    """Stands where the text had NaN or Infinity, which are not JSON."""


class MalformedJson(ValueError):
    """The text is not JSON at all; the message says where it breaks."""


def parse(body: bytes) -> Any:
    """The value of `body`, with objects as JsonObject. Raises MalformedJson."""
    try:
        return json.loads(
            body.decode("utf-8"),
            object_pairs_hook=JsonObject,
            parse_constant=lambda _: NotANumber(),
        )
    except UnicodeDecodeError as error:
        raise MalformedJson(f"is not valid UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise MalformedJson(
            f"is not valid JSON: {error.msg.lower()} at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise MalformedJson("is nested too deeply") from None
    except ValueError:  # an integer of more digits than Python converts
        raise MalformedJson("has a number of too many digits") from None
