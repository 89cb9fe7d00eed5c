"""envoy.yaml with this run's ports and endpoints. Nothing else in it is touched."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from server.supervisor.errors import StartError

REST, GRPC, CLUSTER = "rest", "grpc", "finlink"


@dataclass(frozen=True)
class Edge:
    """Where Envoy listens and whom it asks in this run."""

    host: str
    rest_port: int
    grpc_port: int
    admin_port: int
    sockets: Sequence[Path]  # one a worker
    descriptors: Path  # of the transcoder


def write(template: Path, target: Path, edge: Edge) -> None:
    """Render the template file into the target. Raises StartError when either cannot be had."""
    if not edge.descriptors.is_file():
        raise StartError(f"{edge.descriptors} is missing. Run `make protos`, which generates it.")
    try:
        loaded = yaml.safe_load(template.read_text())
        text = yaml.dump(render(loaded, edge), Dumper=_Plain, sort_keys=False)
    except OSError as error:
        raise StartError(f"{template} cannot be read ({error.strerror}).") from None
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise StartError(f"{template} is not YAML: {where}") from None
    except (KeyError, TypeError, IndexError, StopIteration) as error:
        raise StartError(
            f"{template} lacks what the runner fills in ({error!r}): the "
            f"listeners `{REST}` and `{GRPC}`, the cluster `{CLUSTER}` with an endpoint, the admin "
            "address and the transcoder's proto_descriptor."
        ) from None
    scratch = target.with_suffix(".new")
    scratch.write_text(f"# Made from {template} at each start; changes belong there.\n{text}")
    scratch.replace(target)


def render(template: dict[str, Any], edge: Edge) -> dict[str, Any]:
    """A copy of the configuration with the addresses of this run.

    Raises KeyError with the name of what the template lacks.
    """
    config = copy.deepcopy(template)
    resources = config["static_resources"]
    rest = _named(resources["listeners"], REST)
    grpc = _named(resources["listeners"], GRPC)
    rest["address"] = _at(rest["address"], edge.host, edge.rest_port)
    grpc["address"] = _at(grpc["address"], edge.host, edge.grpc_port)
    admin = config["admin"]
    # Loopback whatever HOST is: whoever reaches the admin port can stop Envoy.
    admin["address"] = _at(admin["address"], "127.0.0.1", edge.admin_port)

    group = _named(resources["clusters"], CLUSTER)["load_assignment"]["endpoints"][0]
    example = group["lb_endpoints"][0]  # keeps what is set beside the address
    group["lb_endpoints"] = [_endpoint(example, socket) for socket in edge.sockets]

    transcoders = list(_having("proto_descriptor", config))
    if not transcoders:
        raise KeyError("proto_descriptor")
    for transcoder in transcoders:
        transcoder["proto_descriptor"] = str(edge.descriptors)
    return config


def _named(items: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    for item in items:
        if item["name"] == name:
            return item
    raise KeyError(name)


def _at(address: dict[str, Any], host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {**address["socket_address"], "address": host, "port_value": port}}


def _endpoint(example: dict[str, Any], socket: Path) -> dict[str, Any]:
    made = copy.deepcopy(example)
    made["endpoint"]["address"] = {"pipe": {"path": str(socket)}}
    return made


def _having(key: str, node: object) -> Iterator[dict[str, Any]]:
    """Each mapping in the tree that has the key."""
    if isinstance(node, dict):
        if key in node:
            yield node
        for value in node.values():
            yield from _having(key, value)
    elif isinstance(node, list):
        for value in node:
            yield from _having(key, value)


class _Plain(yaml.SafeDumper):
    """For readers: writes out in full what anchors share, and a text of many lines as a block."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_Plain.add_representer(str, _text)
