"""Every RPC has what an RPC needs: a path, a rate limit, its errors, an implementation."""

from __future__ import annotations

import inspect
import re
import sys
from collections import Counter

import pytest
from finlink.errors.v1.error_reason_pb2 import ErrorReason
from finlink.rules.v1 import rate_limit_pb2, rules_pb2
from google.api import annotations_pb2
from google.protobuf.descriptor import FieldDescriptor

from server.core.access import Scope
from server.core.authorization import Reach
from server.rpc.method import Method
from server.rpc.status import COMMON, STATUSES
from server.rpc.streams import FORMS
from tests.contract.descriptors import ids, methods, own_files, services

METHODS = methods()
every_rpc = pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))


def reasons(method: Method) -> list[str]:
    return [
        ErrorReason.Name(reason).removeprefix("ERROR_REASON_") for reason in method.rules.errors
    ]


def test_every_service_is_in_the_composition_root() -> None:
    declared = {
        f"{file.package}.{service.name}" for file in own_files() for service in file.service
    }
    assert {service.full_name for service in services()} == declared


@every_rpc
def test_http_rule(method: Method) -> None:
    assert method.verb in {"get", "post", "put", "patch", "delete"}
    assert method.http_path.startswith(("/api/v1/", "/.well-known/"))
    variables = re.findall(r"\{.*?\}", method.http_path)
    assert set(variables) == {f"{{{name}}}" for name in method.path_fields}, "names of fields alone"
    fields = {field.name: field for field in method.request.fields}
    for name in method.path_fields:
        assert fields[name].type == FieldDescriptor.TYPE_STRING
        assert not fields[name].has_presence, "a field of the path is always there"


@every_rpc
def test_other_paths_are_like_the_first(method: Method) -> None:
    for path in method.other_paths:
        assert path.startswith("/api/v1/"), "of the same verb"
        assert set(re.findall(r"\{([a-z_]+)\}", path)) == method.path_fields


@every_rpc
def test_a_body_is_all_that_the_path_does_not_have_or_taken_as_it_is(method: Method) -> None:
    body = method.descriptor.GetOptions().Extensions[annotations_pb2.http].body
    assert not body or method.verb != "get"
    assert body or method.verb in {"get", "delete"}
    assert body in {"", "*"} or method.raw_body_field is not None


def test_no_two_rpcs_have_the_same_route() -> None:
    routes = Counter(
        (method.verb, path)
        for method in METHODS
        for path in (method.http_path, *method.other_paths)
    )
    assert [route for route, count in routes.items() if count > 1] == []


@every_rpc
def test_scope(method: Method) -> None:
    """What an API key must allow: whatever changes something needs more than to read."""
    assert method.access.scope in Scope
    assert method.access.scope > Scope.READ or not method.changes_state


@every_rpc
def test_rate_limit_group(method: Method) -> None:
    group = rate_limit_pb2.RateLimitGroup.DESCRIPTOR.values_by_number[method.rules.rate_limit_group]
    assert group.GetOptions().Extensions[rate_limit_pb2.rate_limit].calls > 0


@every_rpc
def test_errors_are_documented(method: Method) -> None:
    documented = reasons(method)
    assert set(documented) <= STATUSES.keys()
    assert not set(documented) & set(COMMON), "what every RPC can fail with is not repeated"
    assert len(documented) == len(set(documented))
    # Of one's own account, and of a credential that comes along, the reasons of every RPC are enough.
    is_ones_own = method.access.is_own or method.access.reach is Reach.PUBLIC
    if method.path_fields or (method.changes_state and not is_ones_own):
        assert documented, "an RPC that acts on something can fail to find it, or finds it taken"
    if method.path_fields:
        assert any(STATUSES[reason][1] == 404 for reason in documented)


@every_rpc
def test_success_status(method: Method) -> None:
    """201 says that something was created."""
    assert method.success_status in {200, 201}
    assert method.failing_status in {method.success_status, 503}
    if method.success_status == 201:
        assert method.verb == "post"
        assert method.changes_state


@every_rpc
def test_idempotency(method: Method) -> None:
    """A GET changes nothing without saying so, and of a stream no reply is stored."""
    says = method.rules.idempotency
    assert says == rules_pb2.IDEMPOTENCY_UNSPECIFIED or method.verb != "get"
    if method.takes_stream:
        assert not method.stores_reply


@every_rpc
def test_is_implemented(method: Method) -> None:
    service = method.descriptor.containing_service
    proto = service.file.name.removesuffix(".proto").replace("/", ".")
    generated = getattr(sys.modules[f"{proto}_pb2_grpc"], f"{service.name}Servicer")
    servicers = [cls for cls in generated.__subclasses__() if cls.__module__.startswith("server.")]
    # A package may add its RPCs to those of another.
    while len(servicers) == 1 and (more := servicers[0].__subclasses__()):
        servicers = more
    assert len(servicers) == 1, f"one servicer of {service.full_name}"
    name = method.descriptor.name
    own = getattr(servicers[0], name)
    assert own is not getattr(generated, name), "the generated stub answers UNIMPLEMENTED"
    if method.streams:
        assert inspect.isasyncgenfunction(own)
    else:
        assert inspect.iscoroutinefunction(own)


STREAMS = [method for method in METHODS if method.streams]


EVENTS = [method for method in STREAMS if method.is_resumed]


@every_rpc
def test_a_stream_and_no_other_rpc_has_a_form(method: Method) -> None:
    assert (method.stream_form in FORMS) == method.streams
    assert bool(method.stream_form) == method.streams
    assert not (method.streams and method.changes_state)


@every_rpc
def test_a_stream_of_requests_is_a_raw_body_over_rest(method: Method) -> None:
    """Which comes in pieces wherever it is cut; and no middleware is made for streams both ways."""
    if method.takes_stream:
        assert method.takes_raw_body
        assert not method.streams


@pytest.mark.parametrize("method", EVENTS, ids=ids(EVENTS))
def test_a_stream_of_events_can_be_resumed(method: Method) -> None:
    """Over REST its messages become server-sent events, with an id and a name."""
    assert "resume_token" in method.request.fields_by_name
    reply = method.descriptor.output_type.fields_by_name
    assert {"resume_token", "type"} <= set(reply)
