from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.edge import config as envoy_config
from server.edge.config import ROUTES, Edge, render
from server.edge.errors import StartError
from server.edge.programs import find_envoy
from server.supervisor.run import DESCRIPTORS, ENVOY_TEMPLATE

EDGE = Edge(
    host="127.0.0.2",
    rest_port=1001,
    grpc_port=1002,
    admin_port=1003,
    sockets=[Path("/run/a/worker-0.sock"), Path("/run/a/worker-1.sock")],
    descriptors=Path("/gen/envoy.binpb"),
)


@pytest.fixture
def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(ENVOY_TEMPLATE.read_text())
    return loaded


def rendered(template: dict[str, Any], edge: Edge = EDGE) -> dict[str, Any]:
    routes = json.loads(DESCRIPTORS.with_name(ROUTES).read_bytes())["resources"][0]
    return render(template, routes, edge)


def different(before: object, after: object, at: str = "") -> set[str]:
    """The places where two trees differ."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        return {d for key in before for d in different(before[key], after[key], f"{at}/{key}")}
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = zip(before, after, strict=True)
        return {d for i, (b, a) in enumerate(pairs) for d in different(b, a, f"{at}/{i}")}
    return set() if before == after else {at}


def named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(item for item in items if item["name"] == name)


def test_ports_and_addresses(template: dict[str, Any]) -> None:
    made = rendered(template)
    listeners = made["static_resources"]["listeners"]
    assert named(listeners, "rest")["address"]["socket_address"] == {
        "address": "127.0.0.2",
        "port_value": 1001,
    }
    assert named(listeners, "grpc")["address"]["socket_address"]["port_value"] == 1002
    assert made["admin"]["address"]["socket_address"] == {
        "address": "127.0.0.1",
        "port_value": 1003,
    }


def test_one_endpoint_a_worker(template: dict[str, Any]) -> None:
    cluster = named(rendered(template)["static_resources"]["clusters"], "finlink")
    endpoints = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert [e["endpoint"]["address"]["pipe"]["path"] for e in endpoints] == [
        "/run/a/worker-0.sock",
        "/run/a/worker-1.sock",
    ]


def test_nothing_else_changes(template: dict[str, Any]) -> None:
    before = copy.deepcopy(template)
    made = rendered(template)
    assert template == before
    (manager,) = named(made["static_resources"]["listeners"], "rest")["filter_chains"][0]["filters"]
    assert manager["typed_config"].pop("local_reply_config")
    allowed = ("address/socket_address", "lb_endpoints", "proto_descriptor")
    changed = different(template, made)
    assert changed
    assert [place for place in changed if not any(part in place for part in allowed)] == []


def test_what_is_set_beside_an_endpoint_stays(template: dict[str, Any]) -> None:
    group = named(template["static_resources"]["clusters"], "finlink")["load_assignment"]
    group["endpoints"][0]["lb_endpoints"][0]["load_balancing_weight"] = 7
    cluster = named(rendered(template)["static_resources"]["clusters"], "finlink")
    endpoints = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert [e["load_balancing_weight"] for e in endpoints] == [7, 7]


@pytest.mark.parametrize("lost", ["rest", "grpc"])
def test_a_template_without_a_listener_is_one_line(lost: str, tmp_path: Path) -> None:
    text = ENVOY_TEMPLATE.read_text().replace(f"name: {lost}\n", "name: other\n")
    changed = tmp_path / "template.yaml"
    changed.write_text(text)
    changed.with_name(ROUTES).write_bytes(DESCRIPTORS.with_name(ROUTES).read_bytes())
    edge = Edge("::", 1, 2, 3, [Path("/x")], descriptors=changed)
    with pytest.raises(StartError, match=f"lacks.*{lost}") as caught:
        envoy_config.write(changed, tmp_path / "envoy.yaml", edge)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "envoy.yaml").exists()


def test_a_template_that_is_no_yaml_is_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "template.yaml"
    broken.write_text("a: [")
    broken.with_name(ROUTES).write_text('{"resources": [{}]}')
    with pytest.raises(StartError, match="is not YAML") as caught:
        envoy_config.write(broken, tmp_path / "o", Edge("::", 1, 2, 3, [], descriptors=broken))
    assert "\n" not in str(caught.value)


def test_missing_descriptors_say_what_makes_them(tmp_path: Path) -> None:
    edge = Edge("::", 1, 2, 3, [], descriptors=tmp_path / "none.binpb")
    with pytest.raises(StartError, match="make protos"):
        envoy_config.write(ENVOY_TEMPLATE, tmp_path / "envoy.yaml", edge)


def test_envoy_accepts_the_result(tmp_path: Path) -> None:
    written = tmp_path / "envoy.yaml"
    sockets = [tmp_path / f"worker-{i}.sock" for i in range(3)]
    edge = Edge("0.0.0.0", 1001, 1002, 1003, sockets, DESCRIPTORS)  # noqa: S104 - the default
    envoy_config.write(ENVOY_TEMPLATE, written, edge)
    check = subprocess.run(
        [find_envoy(), "--mode", "validate", "-c", written, "--disable-hot-restart"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stderr
