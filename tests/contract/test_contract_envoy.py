"""What Envoy is told of the contract, and whether it takes it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2

from codegen import stubs
from server.edge.programs import find_envoy
from server.rpc import http_binding
from server.rpc.method import Method
from server.rpc.status import STATUSES
from tests.contract.descriptors import descriptor_set, ids, methods, services
from tests.stack import ROOT

METHODS = methods()
# What HTTP itself has statuses for: before there is a request that could break a rule.
PROTOCOL_STATUSES = {408, 431}


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "envoy.yaml").read_text())
    return loaded


def having(key: str, node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if key in node:
            yield node
        for value in node.values():
            yield from having(key, value)
    elif isinstance(node, list):
        for value in node:
            yield from having(key, value)


def messages(
    of: descriptor_pb2.FileDescriptorSet,
) -> dict[str, descriptor_pb2.DescriptorProto]:
    return {
        f"{file.package}.{message.name}": message
        for file in of.file
        for message in file.message_type
    }


def test_every_service_is_transcoded(config: dict[str, Any]) -> None:
    (transcoder,) = having("proto_descriptor", config)
    assert sorted(transcoder["services"]) == sorted(service.full_name for service in services())


def test_envoy_takes_the_file_as_it_is() -> None:
    command = [str(find_envoy()), "--mode", "validate", "-c", "envoy.yaml", "--log-level", "warn"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "OK" in done.stdout + done.stderr


def test_its_own_answers_have_codes_and_statuses_of_the_contract(config: dict[str, Any]) -> None:
    replies = list(having("local_reply_config", config))
    assert replies
    mappers = [mapper for reply in replies for mapper in reply["local_reply_config"]["mappers"]]
    for mapper in mappers:
        comparison = mapper["filter"]["status_code_filter"]["comparison"]
        body = mapper["body_format_override"]["json_format"]
        assert body.keys() == {"success", "error", "timestamp"}
        assert body["success"] is False
        error = body["error"]
        assert error.keys() == {"code", "message", "details", "timestamp", "path"}
        assert comparison["op"] == "EQ" or "status_code" in mapper, "others keep their own status"
        status = mapper.get("status_code", comparison["value"]["default_value"])
        if status not in PROTOCOL_STATUSES:
            assert status == STATUSES[error["code"]][1], error


def test_the_generated_files_are_of_the_contract_as_it_is() -> None:
    sources = [*sorted(stubs.PROTOS.rglob("*.proto")), stubs.DOCUMENT]
    assert stubs.STAMP.read_text() == stubs.fingerprint(sources), "run `make protos`"
    assert stubs.envoy_descriptors(descriptor_set()) == descriptor_set("envoy.binpb")


@pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))
def test_envoy_sees_the_path_and_the_raw_body_of_a_request(method: Method) -> None:
    request = messages(descriptor_set("envoy.binpb"))[method.request.full_name]
    expected = set(method.path_fields) | ({"http_body"} if method.has_body else set())
    assert {field.name for field in request.field} == expected
    assert not request.oneof_decl
    for field in request.field:
        if field.name == "http_body":
            assert field.type_name == ".google.api.HttpBody"
            assert field.number == http_binding.HTTP_BODY_FIELD == stubs.HTTP_BODY_FIELD
    numbers = [field.number for field in method.request.fields]
    assert http_binding.HTTP_BODY_FIELD not in numbers


@pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))
def test_envoy_has_the_paths_of_the_contract_and_passes_answers_on(method: Method) -> None:
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
    assert path == original_path
    assert output == ".google.api.HttpBody"  # the server writes what REST callers get itself
    assert body == ("http_body" if original_body else "")
