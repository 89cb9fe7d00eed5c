"""What Envoy is told of the contract, and whether it takes it."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections import Counter
from typing import Any

import pytest
from google.api import annotations_pb2, httpbody_pb2
from google.protobuf import descriptor_pb2

from codegen import envoy, routes, stubs
from server.edge.programs import find_envoy
from server.edge.replies import REPLIES, Reply
from server.rpc import http_binding
from server.rpc.method import Method
from server.rpc.status import STATUSES
from tests.contract.descriptors import descriptor_set, ids, methods, services
from tests.stack import ROOT

METHODS = methods()
# What HTTP itself has statuses for: before there is a request that could break a rule.
PROTOCOL_STATUSES = {408, 431}


@pytest.fixture(scope="module")
def generated() -> dict[str, Any]:
    (found,) = json.loads((stubs.GEN / "envoy-routes.json").read_bytes())["resources"]
    assert isinstance(found, dict)
    return found


def messages(
    of: descriptor_pb2.FileDescriptorSet,
) -> dict[str, descriptor_pb2.DescriptorProto]:
    return {
        f"{file.package}.{message.name}": message
        for file in of.file
        for message in file.message_type
    }


def test_every_service_is_transcoded(generated: dict[str, Any]) -> None:
    (host,) = generated["virtual_hosts"]
    transcoder = host["typed_per_filter_config"][routes.TRANSCODER]
    assert sorted(transcoder["services"]) == sorted(service.full_name for service in services())


def test_every_rpc_has_its_own_route_under_each_base_path(generated: dict[str, Any]) -> None:
    found = Counter(
        (prefix, route["name"], verb_of(route))
        for prefix, listed in routes_by_prefix(generated).items()
        for route in listed
    )
    assert set(found.values()) == {1}
    for method in METHODS:
        verbs = {"get": ["GET", "HEAD"]}.get(method.verb, [method.verb.upper()])
        own = (method.http_path, *method.other_paths)
        paths = [path for each in own for path in envoy.published(each)]
        for path, verb in itertools.product(paths, verbs):
            assert (path.partition("{")[0], method.descriptor.name, verb) in found, path


def verb_of(route: dict[str, Any]) -> str:
    """Empty for what leads nowhere or to health, whatever the verb."""
    headers = {each["name"]: each["string_match"] for each in route["match"].get("headers", [])}
    return str(headers.get(":method", {"exact": ""})["exact"])


def routes_by_prefix(generated: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    (host,) = generated["virtual_hosts"]
    tree = host["matcher"]["matcher_tree"]["prefix_match_map"]["map"]
    return {prefix: found["action"]["typed_config"]["routes"] for prefix, found in tree.items()}


def test_envoy_takes_the_file_as_it_is() -> None:
    command = [str(find_envoy()), "--mode", "validate", "-c", "envoy.yaml", "--log-level", "warn"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "OK" in done.stdout + done.stderr


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: reply.status)
def test_its_own_replies_have_codes_and_statuses_of_the_contract(reply: Reply) -> None:
    assert reply.sent or not reply.above, "others keep their own status"
    sent = reply.sent or reply.status
    if sent not in PROTOCOL_STATUSES:
        assert sent == STATUSES[reply.code][1]


def test_the_generated_files_are_of_the_contract_as_it_is(generated: dict[str, Any]) -> None:
    sources = [*sorted(stubs.PROTOS.rglob("*.proto")), stubs.DOCUMENT]
    assert stubs.STAMP.read_text() == stubs.fingerprint(sources), "run `make protos`"
    assert envoy.descriptors(descriptor_set()) == descriptor_set("envoy.binpb")
    names = [service.full_name for service in services()]
    assert routes.build(names, "gen/envoy.binpb") == generated


def test_in_envoy_s_copy_a_file_imports_what_it_uses() -> None:
    files = descriptor_set("envoy.binpb").file
    owner = {
        f".{file.package}.{message.name}": file.name
        for file in files
        for message in file.message_type
    }
    for file in files:
        used = [field.type_name for message in file.message_type for field in message.field]
        for service in file.service:
            used += [name for rpc in service.method for name in (rpc.input_type, rpc.output_type)]
        imported = {file.name, *file.dependency}
        assert [name for name in used if owner.get(name, file.name) not in imported] == [], (
            file.name
        )


@pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))
def test_envoy_sees_the_path_and_the_raw_body_of_a_request(method: Method) -> None:
    if method.request == httpbody_pb2.HttpBody.DESCRIPTOR:
        return  # it is the raw body itself
    request = messages(descriptor_set("envoy.binpb"))[method.request.full_name]
    assert {field.name for field in request.field} == {*method.path_fields, "http_body"}
    assert not request.oneof_decl
    for field in request.field:
        if field.name == "http_body":
            assert field.type_name == ".google.api.HttpBody"
            assert field.number == http_binding.HTTP_BODY_FIELD == envoy.HTTP_BODY_FIELD
    numbers = [field.number for field in method.request.fields]
    assert http_binding.HTTP_BODY_FIELD not in numbers


@pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))
def test_envoy_has_the_paths_of_the_contract_and_passes_replies_on(method: Method) -> None:
    def rule(of: descriptor_pb2.FileDescriptorSet) -> tuple[str, str, str]:
        service = method.descriptor.containing_service
        (found,) = (
            rpc
            for file in of.file
            for candidate in file.service
            if f"{file.package}.{candidate.name}" == service.full_name
            for rpc in candidate.method
            if rpc.name == method.descriptor.name
        )
        http = found.options.Extensions[annotations_pb2.http]
        return str(getattr(http, method.verb)), http.body, found.output_type

    path, body, output = rule(descriptor_set("envoy.binpb"))
    original_path, original_body, _ = rule(descriptor_set())
    # Also where none is taken: the server refuses it.
    assert path == original_path
    assert output == ".google.api.HttpBody"  # the server writes what REST callers get itself
    is_whole = method.request == httpbody_pb2.HttpBody.DESCRIPTOR
    assert body == (original_body if is_whole else "http_body")
