"""The examples of the document, from `examples.yaml` beside this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

PLACE = Path(__file__).with_suffix(".yaml")
_CONTENT: dict[str, Any] = yaml.safe_load(PLACE.read_text())
_AT = "2026-01-15T10:30:00.000Z"

# By name in JSON: of fields that come in the path or the query, and of headers.
PARAMETERS: dict[str, Any] = _CONTENT["parameters"]
# By RPC, then by what they show.
BODIES: dict[str, dict[str, Any]] = _CONTENT["bodies"]
ANSWERS: dict[str, dict[str, Any]] = _CONTENT["answers"]
# By RPC that streams: what comes, message by message.
STREAMS: dict[str, list[dict[str, Any]]] = _CONTENT["streams"]
# By code.
ERRORS: dict[str, Any] = _CONTENT["errors"]


class ExampleMissing(LookupError):
    """The message says which, and where it belongs."""


def example(section: str, name: str) -> Any:
    """One of the examples above. Raises ExampleMissing."""
    found = _CONTENT[section].get(name)
    if found is None:
        place = f"openapi/{PLACE.name}"
        raise ExampleMissing(f"{name} has no example: add one to {place}, under `{section}`.")
    return found


def error(code: str) -> dict[str, Any]:
    """The example of an error, whole. Raises ExampleMissing."""
    said = example("errors", code)
    body = {"code": code, "details": [], "timestamp": _AT, "path": "/api/v1/users/user_12345"}
    return enveloped({"error": body | said}, success=False)


def enveloped(body: dict[str, Any], *, success: bool = True) -> dict[str, Any]:
    """A reply as it is over REST."""
    return {"success": success, **body, "timestamp": _AT}
