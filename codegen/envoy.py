"""The contract as Envoy's transcoder sees it, and the base paths under which it is published."""

from __future__ import annotations

from google.api import annotations_pb2, http_pb2, httpbody_pb2
from google.protobuf import any_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorSet

# Where the API is found. The first is the contract's own; the other documents publish the others.
BASES = ("/api/v1", "/v1", "/api")
# The field that carries a REST body whole. Far above any field of the contract.
HTTP_BODY_FIELD = 50700
_HTTP_BODY = ".google.api.HttpBody"


def published(path: str) -> list[str]:
    """The path under every base path, the contract's own first."""
    own, *_ = BASES
    if not path.startswith(f"{own}/"):
        return [path]
    return [base + path.removeprefix(own) for base in BASES]


def descriptors(source: FileDescriptorSet) -> FileDescriptorSet:
    """The contract as Envoy's transcoder sees it.

    Left to itself the transcoder parses JSON bodies leniently: unknown and repeated keys pass, and
    of several wrong types only the first is reported; a query parameter even overrides a path
    variable. So in Envoy's copy a request has its path variables only, and the body as raw bytes
    (`google.api.HttpBody`), also where the RPC takes none: the server refuses one that is sent all
    the same. The server reads body and query strictly (server/rpc/http_binding.py). Replies arrive
    as bytes in the same way: JSON (server/rpc/json_form.py), or the text of a stream's messages
    (server/rpc/streams.py). Over gRPC nothing of this is seen.

    A path is bound under every base path, so that it means the same RPC under each, and to HEAD where it is
    to GET.
    """
    # These are added as they are: Envoy wants every file after those it imports, and all import these.
    first = (any_pb2.DESCRIPTOR, httpbody_pb2.DESCRIPTOR)
    names = {each.name for each in first}
    result = FileDescriptorSet(file=[file for file in source.file if file.name not in names])
    rules = {
        method.input_type: method.options.Extensions[annotations_pb2.http]
        for file in result.file
        for service in file.service
        for method in service.method
    }
    for file in result.file:
        requests = {f".{file.package}.{message.name}": message for message in file.message_type}
        for name in requests.keys() & rules.keys():
            _keep_path_and_body(requests[name], rules[name])
        for service in file.service:
            for method in service.method:
                method.output_type = _HTTP_BODY
                _bind_everywhere(method.options.Extensions[annotations_pb2.http])
        named = httpbody_pb2.DESCRIPTOR.name
        if (file.service or requests.keys() & rules.keys()) and named not in file.dependency:
            file.dependency.append(named)
    ordered = FileDescriptorSet()
    for each in first:
        each.CopyToProto(ordered.file.add())
    ordered.file.extend(result.file)
    return ordered


def _keep_path_and_body(request: DescriptorProto, rule: http_pb2.HttpRule) -> None:
    path = str(getattr(rule, rule.WhichOneof("pattern")))
    kept = [field for field in request.field if f"{{{field.name}}}" in path]
    del request.field[:]
    del request.oneof_decl[:]
    request.field.extend(kept)
    rule.body = "http_body"
    request.field.add(
        name="http_body",
        json_name="httpBody",
        number=HTTP_BODY_FIELD,
        label=FieldDescriptorProto.LABEL_OPTIONAL,
        type=FieldDescriptorProto.TYPE_MESSAGE,
        type_name=_HTTP_BODY,
    )


def _bind_everywhere(rule: http_pb2.HttpRule) -> None:
    """Bind the paths of a rule under the other base paths, too, and HEAD beside GET."""
    pattern = str(rule.WhichOneof("pattern"))
    own = [str(getattr(each, pattern)) for each in (rule, *rule.additional_bindings)]
    del rule.additional_bindings[:]
    first, *others = [each for path in own for each in published(path)]
    for path in others:
        setattr(rule.additional_bindings.add(body=rule.body), pattern, path)
    if pattern == "get":
        for path in (first, *others):
            head = http_pb2.CustomHttpPattern(kind="HEAD", path=path)
            rule.additional_bindings.add(body=rule.body, custom=head)
