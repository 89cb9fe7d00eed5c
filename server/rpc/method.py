"""What the contract says about one RPC, read from its descriptor once at start."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from finlink.rules.v1 import rate_limit_pb2, rules_pb2
from google.api import annotations_pb2, httpbody_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from server.core.access import Scope

_VARIABLE = re.compile(r"\{([a-z_]+)\}")
MAX_REQUEST_BYTES = 64 * 1024  # of an RPC that does not say otherwise
_HTTP_BODY = httpbody_pb2.HttpBody.DESCRIPTOR.full_name


@dataclass(frozen=True)
class Method:
    """One RPC: its path, messages and HTTP rule."""

    descriptor: MethodDescriptor

    @cached_property
    def path(self) -> str:
        """`/package.Service/Method`."""
        return f"/{self.descriptor.containing_service.full_name}/{self.descriptor.name}"

    @property
    def request(self) -> Descriptor:
        return self.descriptor.input_type

    @cached_property
    def request_class(self) -> type[Message]:
        return message_factory.GetMessageClass(self.request)

    @cached_property
    def response_class(self) -> type[Message]:
        return message_factory.GetMessageClass(self.descriptor.output_type)

    @cached_property
    def verb(self) -> str:
        """`get`, `post`, `put`, `patch` or `delete`."""
        return str(self._rule.WhichOneof("pattern"))

    @cached_property
    def changes_state(self) -> bool:
        return self.verb != "get" and self.rules.idempotency != rules_pb2.IDEMPOTENCY_NO_EFFECT

    @cached_property
    def stores_reply(self) -> bool:
        """Whether the reply to a call with an idempotency key is stored, and returned again."""
        return self.changes_state and self.rules.idempotency != rules_pb2.IDEMPOTENCY_OWN

    @cached_property
    def takes_stream(self) -> bool:
        """Whether its request is a stream of messages."""
        return self.descriptor.client_streaming

    @cached_property
    def streams(self) -> bool:
        """Whether its reply is a stream of messages."""
        return self.descriptor.server_streaming

    @cached_property
    def stream_form(self) -> int:
        """How REST callers get its messages, where it streams: a `rules_pb2.StreamForm`."""
        return self.rules.stream_form

    @cached_property
    def is_resumed(self) -> bool:
        """Whether a caller may come back to its stream with the id of the last event."""
        return self.stream_form == rules_pb2.STREAM_FORM_SERVER_SENT_EVENTS

    @cached_property
    def http_path(self) -> str:
        return str(getattr(self._rule, self.verb))

    @cached_property
    def path_fields(self) -> frozenset[str]:
        """Names of the request fields that the REST path carries."""
        return frozenset(_VARIABLE.findall(self.http_path))

    @cached_property
    def has_body(self) -> bool:
        return bool(self._rule.body)

    @cached_property
    def takes_json(self) -> bool:
        """Whether its REST body is a JSON object."""
        return self.has_body and not self.takes_raw_body

    @cached_property
    def returns_raw_body(self) -> bool:
        """Whether its reply over REST is a body as the RPC makes it, of whatever type."""
        return self.response_class is httpbody_pb2.HttpBody

    @cached_property
    def takes_raw_body(self) -> bool:
        """Whether the REST body is taken as it is, of whatever type, as a `google.api.HttpBody`."""
        return self.request.full_name == _HTTP_BODY or self.raw_body_field is not None

    @cached_property
    def raw_body_field(self) -> FieldDescriptor | None:
        """The field that holds the raw body, where the request is not that body itself."""
        field = self.request.fields_by_name.get(self._rule.body)
        if field is None or field.message_type is None:
            return None
        return field if field.message_type.full_name == _HTTP_BODY else None

    @cached_property
    def body_fields(self) -> dict[str, FieldDescriptor]:
        """Request fields by JSON name that a JSON body carries."""
        return self.sent_fields if self.takes_json else {}

    @cached_property
    def query_fields(self) -> dict[str, FieldDescriptor]:
        """Request fields by JSON name that the query carries."""
        return {} if self.body_fields else self.sent_fields

    @cached_property
    def sent_fields(self) -> dict[str, FieldDescriptor]:
        """Request fields by JSON name that come in the REST body or query, not in the path."""
        if self.request.full_name == _HTTP_BODY:
            return {}
        return {
            field.json_name: field
            for field in self.request.fields
            if field.name not in self.path_fields and field != self.raw_body_field
        }

    @cached_property
    def rules(self) -> rules_pb2.MethodRules:
        return self.descriptor.GetOptions().Extensions[rules_pb2.method]

    @cached_property
    def scope(self) -> Scope:
        """What an API key must allow. Raises ValueError where the contract does not say."""
        return Scope(self.rules.scope)

    @cached_property
    def rate_limit_group(self) -> str:
        """The limit that a REST call counts against, as settings name it: `users`."""
        name = rate_limit_pb2.RateLimitGroup.Name(self.rules.rate_limit_group)
        return name.removeprefix("RATE_LIMIT_GROUP_").lower()

    @cached_property
    def max_request_bytes(self) -> int:
        """Of the request, or of all messages of a stream together."""
        return self.rules.max_request_bytes or MAX_REQUEST_BYTES

    @cached_property
    def success_status(self) -> int:
        """The HTTP status of a success."""
        return self.rules.success_status or 200

    @cached_property
    def _rule(self) -> annotations_pb2.google_dot_api_dot_http__pb2.HttpRule:
        return self.descriptor.GetOptions().Extensions[annotations_pb2.http]


def methods_of(services: Sequence[str]) -> dict[str, Method]:
    """All RPCs of the named services by path. Their generated modules must have been imported."""
    from google.protobuf import descriptor_pool  # noqa: PLC0415

    pool = descriptor_pool.Default()
    found: dict[str, Method] = {}
    for service in services:
        for descriptor in pool.FindServiceByName(service).methods:
            method = Method(descriptor)
            found[method.path] = method
    return found
