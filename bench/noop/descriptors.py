"""The no-op's descriptors, and Envoy's configuration with it. Nothing of it is generated code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from google.protobuf import descriptor_pb2, descriptor_pool

from bench.folders import DATA, ROOT
from codegen import envoy, routes, stubs

PROTO = "bench/noop/noop.proto"
SERVICE = "bench.v1.NoopService"
_CONTRACT = ROOT / "gen" / "finlink.binpb"
_OWN = DATA / "noop.binpb"
FOR_ENVOY = DATA / "envoy.binpb"


def build(envoy_template: Path, *, silent: bool) -> Path:
    """Write the descriptor sets and a copy of Envoy's configuration that transcodes the no-op too.

    Where it is `silent` Envoy writes no access log. Returns the configuration's file.
    """
    DATA.mkdir(parents=True, exist_ok=True)
    stubs.run_protoc(
        f"--descriptor_set_in={_CONTRACT}", f"-I{ROOT}", f"--descriptor_set_out={_OWN}", PROTO
    )
    contract = descriptor_pb2.FileDescriptorSet.FromString(_CONTRACT.read_bytes())
    both = descriptor_pb2.FileDescriptorSet()
    both.CopyFrom(contract)
    both.MergeFromString(_OWN.read_bytes())
    FOR_ENVOY.write_bytes(envoy.descriptors(both).SerializeToString())
    names = [*routes.services_of(contract), SERVICE]
    load()
    FOR_ENVOY.with_name(routes.FILE).write_text(routes.text(names, str(FOR_ENVOY)))
    config = yaml.safe_load(envoy_template.read_text())
    if silent:
        _no_access_logs(config)
    written = DATA / f"envoy{'-silent' if silent else ''}.yaml"
    written.write_text(yaml.safe_dump(config, sort_keys=False))
    return written


def load() -> Any:
    """The no-op's file in the pool that generated modules use."""
    pool = descriptor_pool.Default()
    for file in descriptor_pb2.FileDescriptorSet.FromString(_OWN.read_bytes()).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool.FindFileByName(PROTO)


def _no_access_logs(node: object) -> None:
    if isinstance(node, dict):
        if "access_log" in node:
            node["access_log"] = []
        for value in node.values():
            _no_access_logs(value)
    elif isinstance(node, list):
        for value in node:
            _no_access_logs(value)
