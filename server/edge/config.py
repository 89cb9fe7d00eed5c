"""envoy.yaml and the generated routes with this run's ports, endpoints, limits and TLS."""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from server.edge import limits as envoy_limits
from server.edge import metrics as envoy_metrics
from server.edge import pages as envoy_pages
from server.edge import replies
from server.edge import tls as envoy_tls
from server.edge import tracing as envoy_tracing
from server.edge.errors import StartError
from server.edge.limits import CLUSTER, Limits, having, named
from server.edge.metrics import Metrics
from server.edge.pages import Page
from server.edge.tls import Tls, manager_of
from server.edge.tracing import Tracing
from server.setting_types import host_and_port

REST, GRPC = "rest", "grpc"
ROUTES = "envoy-routes.json"


@dataclass(frozen=True)
class Edge:
    """Where Envoy listens and whom it asks in this run."""

    host: str
    rest_port: int
    grpc_port: int
    admin_port: int
    sockets: Sequence[Path]  # one a worker on this machine
    descriptors: Path  # of the transcoder; the routes are beside it
    servers: Sequence[str] = ()  # HOST:PORT of servers elsewhere, instead of sockets
    access_log: Path = Path("/dev/stdout")
    every_call: bool = False  # is in it, not the notable ones alone
    limits: Limits = field(default_factory=Limits)
    tls: Tls = field(default_factory=Tls)
    tracing: Tracing | None = None
    metrics: Metrics | None = None
    pages: Sequence[Page] = ()


def write(template: Path, target: Path, edge: Edge) -> None:
    """Render the template file into the target, and the routes beside it.

    Raises StartError when either cannot be had.
    """
    generated = edge.descriptors.with_name(ROUTES)
    for file in (edge.descriptors, generated):
        if not file.is_file():
            raise StartError(f"{file} is missing. Run `make protos`, which generates it.")
    try:
        found = json.loads(generated.read_bytes())
        config = render(yaml.safe_load(template.read_text()), found["resources"][0], edge)
        for source in having("path_config_source", config):
            source["path_config_source"]["path"] = str(target.with_name(ROUTES))
        text = yaml.dump(config, Dumper=_Plain, sort_keys=False)
    except OSError as error:
        raise StartError(f"{template} cannot be read ({error.strerror}).") from None
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise StartError(f"{template} is not YAML: {where}") from None
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise StartError(
            f"{template} lacks what the runner fills in ({error!r}): the "
            f"listeners `{REST}` and `{GRPC}` with their filters, the cluster `{CLUSTER}` with an "
            "endpoint and the admin address."
        ) from None
    _replace(target.with_name(ROUTES), json.dumps(found, indent=1))
    _replace(target, f"# Made from {template} at each start; changes belong there.\n{text}")


def _replace(target: Path, text: str) -> None:
    scratch = target.with_suffix(".new")
    scratch.write_text(text)
    scratch.replace(target)


def render(template: dict[str, Any], routes: dict[str, Any], edge: Edge) -> dict[str, Any]:
    """A copy of the configuration with the addresses of this run; the routes are changed in place.

    Raises KeyError with the name of what the template lacks.
    """
    config = copy.deepcopy(template)
    resources = config["static_resources"]
    listeners = resources["listeners"]
    rest, grpc = named(listeners, REST), named(listeners, GRPC)
    rest["address"] = _at(rest["address"], edge.host, edge.rest_port)
    grpc["address"] = _at(grpc["address"], edge.host, edge.grpc_port)
    admin = config["admin"]
    # Loopback whatever HOST is: whoever reaches the admin port can stop Envoy.
    admin["address"] = _at(admin["address"], "127.0.0.1", edge.admin_port)

    cluster = named(resources["clusters"], CLUSTER)
    group = cluster["load_assignment"]["endpoints"][0]
    example = group["lb_endpoints"][0]  # keeps what is set beside the address
    addresses = [{"pipe": {"path": str(socket)}} for socket in edge.sockets]
    if edge.servers:
        cluster |= {"type": "STRICT_DNS", "dns_lookup_family": "V4_PREFERRED"}
        addresses = [_server(address) for address in edge.servers]
        envoy_tls.secure_servers(cluster, edge.tls)
    group["lb_endpoints"] = [
        {**example, "endpoint": {**example["endpoint"], "address": address}}
        for address in addresses
    ]

    for transcoder in having("proto_descriptor", [config, routes]):
        transcoder["proto_descriptor"] = str(edge.descriptors)

    for listener in (rest, grpc):
        for log in manager_of(listener)["access_log"]:
            log["typed_config"]["path"] = str(edge.access_log)
            if edge.every_call:
                log.pop("filter", None)
    envoy_pages.add(routes, edge.pages)
    envoy_limits.fill(config, manager_of(rest), routes, edge.limits)
    replies.fill(manager_of(rest))
    if edge.tracing is not None:
        envoy_tracing.fill(config, [manager_of(rest), manager_of(grpc)], edge.tracing)
    envoy_tls.add_https(listeners, rest, edge.tls)
    envoy_tls.require_client_certificates(grpc, edge.tls)
    if edge.metrics is not None:
        envoy_metrics.add(config, edge.admin_port, edge.metrics)
    return config


def _at(address: dict[str, Any], host: str, port: int) -> dict[str, Any]:
    where: dict[str, Any] = {**address["socket_address"], "address": host, "port_value": port}
    if host == "::":
        where["ipv4_compat"] = True  # all addresses, as people mean it
    return {"socket_address": where}


def _server(address: str) -> dict[str, Any]:
    try:
        host, port = host_and_port(address)
    except ValueError:
        raise StartError(f"{address} is not HOST:PORT.") from None
    return {"socket_address": {"address": host, "port_value": port}}


class _Plain(yaml.SafeDumper):
    """For readers: writes out in full what anchors share, and a text of many lines as a block."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_Plain.add_representer(str, _text)
