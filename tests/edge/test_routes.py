"""What the options of an RPC make of its route, with RPCs made up for it; and `envoy.yaml` by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from finlink.rules.v1.rate_limit_pb2 import RateLimit
from google.protobuf import descriptor_pb2, descriptor_pool

from codegen import limits, routes, stubs
from codegen.envoy import BASES, descriptors
from server.edge.limits import Limits
from server.rpc.method import Method
from tests.contract.descriptors import descriptor_set, ids, methods
from tests.e2e.users_errors import Failure, failed
from tests.edge.edge_stack import HOUR_MS, EdgeStack, edge_stack, envoy, worker
from tests.stack import ROOT, free_ports

METHODS = methods()
PROTO = """
syntax = "proto3";
package edge.v1;
import "finlink/rules/v1/rules.proto";
import "google/api/annotations.proto";
message Request {}
message Response {}
message Upload {}
message ThingRequest { string id = 1; }
message SlowThingRequest { string id = 1; }
service EdgeService {
  rpc Plain(Request) returns (Response) {
    option (google.api.http) = {get: "/api/v1/edge/plain"};
    option (finlink.rules.v1.method) = {
      scope: SCOPE_READ
      users: {reach: REACH_NONE}
      rate_limit_group: RATE_LIMIT_GROUP_USERS
    };
  }
  rpc Slow(Request) returns (Response) {
    option (google.api.http) = {get: "/api/v1/edge/slow"};
    option (finlink.rules.v1.method) = {
      scope: SCOPE_READ
      users: {reach: REACH_NONE}
      rate_limit_group: RATE_LIMIT_GROUP_SYNC
      timeout: {nanos: 300000000}
    };
  }
  rpc Thing(ThingRequest) returns (Response) {
    option (google.api.http) = {get: "/api/v1/edge/things/{id}"};
    option (finlink.rules.v1.method) = {
      scope: SCOPE_READ
      users: {reach: REACH_NONE}
      rate_limit_group: RATE_LIMIT_GROUP_SYNC
    };
  }
  rpc SlowThing(SlowThingRequest) returns (Response) {
    option (google.api.http) = {get: "/api/v1/edge/things/{id}:slow"};
    option (finlink.rules.v1.method) = {
      scope: SCOPE_READ
      users: {reach: REACH_NONE}
      rate_limit_group: RATE_LIMIT_GROUP_SYNC
      timeout: {nanos: 300000000}
    };
  }
  rpc Silent(Request) returns (stream Response) {
    option (google.api.http) = {get: "/api/v1/edge/silent"};
    option (finlink.rules.v1.method) = {
      scope: SCOPE_READ
      users: {reach: REACH_NONE}
      rate_limit_group: RATE_LIMIT_GROUP_SYNC
      stream_idle_timeout: {nanos: 300000000}
    };
  }
  rpc Large(Upload) returns (Response) {
    option (google.api.http) = {post: "/api/v1/edge/large" body: "*"};
    option (finlink.rules.v1.method) = {
      scope: SCOPE_READ
      users: {reach: REACH_NONE}
      rate_limit_group: RATE_LIMIT_GROUP_SYNC
      max_request_bytes: 1048576
    };
  }
}
"""
KIB = 1024


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeStack]:
    """An edge for those RPCs alone, where calls of users do not count against the overall limit."""
    folder = tmp_path_factory.mktemp("made-up")
    (folder / "edge.proto").write_text(PROTO)
    stubs.run_protoc(
        f"--descriptor_set_in={stubs.GEN / 'finlink.binpb'}", f"-I{folder}",
        f"--descriptor_set_out={folder / 'own.binpb'}", "edge.proto", folders=(),
    )  # fmt: skip
    own = descriptor_pb2.FileDescriptorSet.FromString((folder / "own.binpb").read_bytes())
    descriptor_pool.Default().AddSerializedFile(own.file[0].SerializeToString())
    contract = descriptor_pb2.FileDescriptorSet()
    contract.CopyFrom(descriptor_set())
    contract.MergeFrom(own)
    transcoded = folder / "envoy.binpb"
    transcoded.write_bytes(descriptors(contract).SerializeToString())
    with pytest.MonkeyPatch.context() as patch:
        groups = limits.groups() | {"users": RateLimit(calls=50)}
        patch.setattr(limits, "groups", lambda: groups)
        text = routes.text(["edge.v1.EdgeService"], str(transcoded))
    (folder / routes.FILE).write_text(text)
    given = Limits(window_ms=HOUR_MS, calls={"sync": 100, "overall": 14})
    with edge_stack(folder / "edge", given, descriptors=transcoded) as opened:
        yield opened


def test_a_body_may_be_as_long_as_its_rpc_says(made_up: EdgeStack) -> None:
    for base in BASES:
        url = f"{made_up.rest}{base}/edge/large"
        assert httpx.post(url, content=b" " * (KIB * KIB)).status_code == 200
        refused = httpx.post(url, content=b" " * (KIB * KIB + 1))
        message = "The request body is larger than 1024 KiB"
        assert refused.status_code == 413
        assert failed(refused) == Failure("PAYLOAD_TOO_LARGE", message)


@pytest.mark.parametrize("name", ["slow", "silent", "things/1:slow"])
def test_a_call_may_take_as_long_as_its_rpc_says(made_up: EdgeStack, name: str) -> None:
    url, late = f"{made_up.rest}/v1/edge/{name}", {"wait-seconds": "1"}
    reply = httpx.get(url, headers=late)
    assert (reply.status_code, reply.json()["error"]["code"]) == (504, "DEADLINE_EXCEEDED")
    assert httpx.get(url).status_code == 200


def test_a_group_need_not_count_against_the_overall_limit(made_up: EdgeStack) -> None:
    found = [httpx.get(f"{made_up.rest}/api/edge/plain").status_code for _ in range(52)]
    assert found == [200] * 50 + [429] * 2
    others = [httpx.get(f"{made_up.rest}/api/edge/slow").status_code for _ in range(12)]
    assert others[0] == 200
    assert others[-1] == 429


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeStack]:
    """`envoy -c envoy.yaml` in a folder with `gen/`: nothing is changed but ports, and where a worker is."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "gen").symlink_to(ROOT / "gen")
    rest, rpc, admin = free_ports(3)
    opened = EdgeStack(rest, 0, rpc, admin, folder / "envoy.log", folder / "access.log")
    with worker(opened) as socket:
        text = (ROOT / "envoy.yaml").read_text()
        for old, new in {
            "port_value: 3000 ": f"port_value: {rest} ", "port_value: 50051 ": f"port_value: {rpc} ",
            "port_value: 9901 ": f"port_value: {admin} ", ".data/worker-0.sock": str(socket),
        }.items():  # fmt: skip
            assert text.count(old) == 1
            text = text.replace(old, new)
        (folder / "envoy.yaml").write_text(text)
        with envoy(opened, folder / "envoy.yaml", folder):
            yield opened


@pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))
def test_envoy_yaml_by_itself_serves_every_rpc(bare: EdgeStack, method: Method) -> None:
    path = re.sub(r"\{\w+\}", "0" * 24, method.http_path)
    address = f"127.0.1.{METHODS.index(method) + 1}"  # of its own, as limits are the contract's
    with httpx.Client(transport=httpx.HTTPTransport(local_address=address)) as client:
        assert client.request(method.verb.upper(), bare.rest + path).status_code == 200
    assert bare.seen[-1].method == method.path
