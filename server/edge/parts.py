"""Parts of Envoy's configuration that depend on a run, from parts.yaml."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("parts.yaml")


def part(name: str, /, **values: Any) -> Any:
    """A part of its own, with the value of that name wherever the file says `$name`."""
    return _filled(_parts()[name], values)


@cache
def _parts() -> dict[str, Any]:
    parts: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return parts


def _filled(node: Any, values: dict[str, Any]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(each, values) for key, each in node.items()}
    if isinstance(node, list):
        return [_filled(each, values) for each in node]
    return values[node[1:]] if isinstance(node, str) and node.startswith("$") else node
