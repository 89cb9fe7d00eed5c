"""What deploy/ says, as objects."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from tests.stack import ROOT

Json = dict[str, Any]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
COMPOSE = ROOT / "deploy" / "compose" / "compose.yaml"
KUBERNETES = ROOT / "deploy" / "kubernetes"
KUSTOMIZE = shutil.which("kubectl")


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile, continued lines put together: (COPY, …)."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    words = [line.partition(" ") for line in text.splitlines() if line]
    return [(name, rest.strip()) for name, _, rest in words]


def compose() -> Json:
    content: Json = yaml.safe_load(COMPOSE.read_text())
    return content


def base() -> list[Json]:
    """All objects of the base, as they are written."""
    kustomization = yaml.safe_load((KUBERNETES / "base" / "kustomization.yaml").read_text())
    return [
        item
        for name in kustomization["resources"]
        for item in yaml.safe_load_all((KUBERNETES / "base" / name).read_text())
    ]


def config_map() -> dict[str, str]:
    """The settings that all processes share."""
    kustomization = yaml.safe_load((KUBERNETES / "base" / "kustomization.yaml").read_text())
    (generator,) = kustomization["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in generator["literals"])


def rendered(folder: str) -> list[Json]:
    """What would be applied. Needs kubectl, which has kustomize built in."""
    assert KUSTOMIZE is not None
    done = subprocess.run(
        [KUSTOMIZE, "kustomize", KUBERNETES / folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(kind: str, items: Sequence[Json]) -> dict[str, Json]:
    """By name, without `finlink-`."""
    return {
        item["metadata"]["name"].removeprefix("finlink-"): item
        for item in items
        if item["kind"] == kind
    }


def container(deployment: Json) -> Json:
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def environment(of: Json) -> dict[str, str]:
    """What a container's own `env` sets."""
    return {entry["name"]: entry["value"] for entry in of.get("env", ())}


def strings(node: object) -> Iterator[str]:
    """Every text in it."""
    if isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif isinstance(node, str):
        yield node
