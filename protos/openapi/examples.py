"""The examples of the document, from `examples.yaml` beside this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_CONTENT: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
_AT = "2026-01-15T10:30:00.000Z"

# By name in JSON: of fields that come in the path or the query, and of headers.
PARAMETERS: dict[str, Any] = _CONTENT["parameters"]
# By RPC, then by what they show.
BODIES: dict[str, dict[str, Any]] = _CONTENT["bodies"]
ANSWERS: dict[str, dict[str, Any]] = _CONTENT["answers"]
# By RPC that streams: what comes, message by message.
STREAMS: dict[str, list[dict[str, Any]]] = _CONTENT["streams"]


def _error(code: str, said: dict[str, Any]) -> dict[str, Any]:
    body = {"code": code, "details": [], "timestamp": _AT, "path": "/api/v1/users/user_12345"}
    return {"error": body | said}


# By code.
ERRORS: dict[str, Any] = {code: _error(code, said) for code, said in _CONTENT["errors"].items()}
