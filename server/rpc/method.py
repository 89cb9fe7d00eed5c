"""The contract's options of one RPC, read from its descriptor once at start."""

import re
from collections.abc import Sequence
from datetime import timedelta

from finlink.rules.v1 import rate_limit_pb2, rules_pb2
from google.api import annotations_pb2, httpbody_pb2
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from server.core.access import Scope
from server.core.authorization import Access, Reach
from server.core.principals import Role

_VARIABLE = re.compile(r"\{([a-z_]+)\}")
MAX_REQUEST_BYTES = 64 * 1024  # of an RPC that does not say otherwise
_HTTP_BODY = httpbody_pb2.HttpBody.DESCRIPTOR.full_name


_REACHES = {
    rules_pb2.REACH_PUBLIC: Reach.PUBLIC,
    rules_pb2.REACH_NONE: Reach.NONE,
    rules_pb2.REACH_SELF: Reach.SELF,
    rules_pb2.REACH_ROLE: Reach.ROLE,
}


class Method:
    def __init__(self, descriptor: MethodDescriptor) -> None:
        """Raises ValueError where the contract does not say who may call."""
        options = descriptor.GetOptions()
        rule, rules = options.Extensions[annotations_pb2.http], options.Extensions[rules_pb2.method]
        self.descriptor = descriptor
        self.rules: rules_pb2.MethodRules = rules
        self.path = f"/{descriptor.containing_service.full_name}/{descriptor.name}"
        self.request: Descriptor = descriptor.input_type
        self.request_class: type[Message] = message_factory.GetMessageClass(self.request)
        self.response_class = message_factory.GetMessageClass(descriptor.output_type)
        self.takes_stream = descriptor.client_streaming
        self.streams = descriptor.server_streaming
        # Of all messages of a stream together.
        self.max_request_bytes = rules.max_request_bytes or MAX_REQUEST_BYTES

        # Over REST: `verb` is `get`, `post`, `put`, `patch` or `delete`.
        self.verb = str(rule.WhichOneof("pattern"))
        self.http_path = str(getattr(rule, self.verb))
        # The same under other paths (`additional_bindings`), with the same verb and variables.
        self.other_paths = [str(getattr(each, self.verb)) for each in rule.additional_bindings]
        self.path_fields = frozenset[str](_VARIABLE.findall(self.http_path))
        if _reach(rules.users) not in _REACHES:
            raise ValueError(f"{self.path}: users.reach must say who may call")
        self.access = _access(rules, reads=self.verb == "get")
        self.success_status = rules.success_status or 200
        self.failing_status = rules.failing_status or self.success_status
        group = rate_limit_pb2.RateLimitGroup.Name(rules.rate_limit_group)
        self.rate_limit_group = group.removeprefix("RATE_LIMIT_GROUP_").lower()
        self.stream_form = rules.stream_form
        # Whether a caller may come back to its stream with the id of the last event.
        self.is_resumed = self.stream_form == rules_pb2.STREAM_FORM_SERVER_SENT_EVENTS

        # Whether the reply to a call with an idempotency key is stored, and returned again.
        idempotency = rules.idempotency
        self.changes_state = self.verb != "get" and idempotency != rules_pb2.IDEMPOTENCY_NO_EFFECT
        self.stores_reply = self.changes_state and idempotency != rules_pb2.IDEMPOTENCY_OWN

        # A raw body is taken or returned as it is, of whatever type, as a `google.api.HttpBody`. It may be
        # the whole request or a field of it.
        self.raw_body_field = _raw_body_field(self.request, rule.body)
        is_body = self.request.full_name == _HTTP_BODY
        self.returns_raw_body = self.response_class is httpbody_pb2.HttpBody
        self.takes_raw_body = is_body or self.raw_body_field is not None
        self.has_body = bool(rule.body)
        self.takes_json = self.has_body and not self.takes_raw_body

        # Request fields by JSON name that come in a JSON body or the query, not in the path.
        self.sent_fields: dict[str, FieldDescriptor] = {
            field.json_name: field
            for field in self.request.fields
            if not is_body and field.name not in self.path_fields and field != self.raw_body_field
        }
        self.body_fields = self.sent_fields if self.takes_json else {}
        self.query_fields = {} if self.body_fields else self.sent_fields


def _reach(users: rules_pb2.UserAccess) -> rules_pb2.Reach.ValueType:
    """An RPC that has an owner is for its owner, unless it says otherwise."""
    return rules_pb2.REACH_SELF if users.owner and not users.reach else users.reach


def _access(rules: rules_pb2.MethodRules, *, reads: bool) -> Access:
    users = rules.users
    role = rules_pb2.Role.Name(users.role).removeprefix("ROLE_")
    return Access(
        scope=Scope(rules.scope or (rules_pb2.SCOPE_READ if reads else rules_pb2.SCOPE_WRITE)),
        reach=_REACHES[_reach(users)],
        role=Role[role] if users.role else None,
        owner=users.owner,
        recent_login=timedelta(seconds=users.recent_login) if users.recent_login else None,
        in_person=users.in_person,
        reads=reads,
        staff_reads=rules.staff_reads,
        open_without_keys=rules.open_without_keys,
    )


def _raw_body_field(request: Descriptor, body: str) -> FieldDescriptor | None:
    field = request.fields_by_name.get(body)
    if field is None or field.message_type is None:
        return None
    return field if field.message_type.full_name == _HTTP_BODY else None


def methods_of(services: Sequence[str]) -> dict[str, Method]:
    """All RPCs of the named services by path. Their generated modules must have been imported."""
    pool = descriptor_pool.Default()
    descriptors = [each for name in services for each in pool.FindServiceByName(name).methods]
    return {method.path: method for method in map(Method, descriptors)}
