"""One way to call any RPC by its name, over REST or gRPC, with the answer in one shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import finlink_client
import httpx
from finlink_client.policy import METHODS
from google.api import annotations_pb2
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from tests.e2e.replies import content_of
from tests.stack import Stack

Json = dict[str, Any]
Way = Literal["rest", "grpc"]

# The HTTP status of each code that a caller of this scenario may meet, as the contract has it.
STATUS_OF = {
    "VALIDATION_ERROR": 400,
    "INVALID_CREDENTIALS": 400,
    "USER_NOT_FOUND": 404,
    "CONNECTOR_NOT_FOUND": 404,
    "CONNECTION_NOT_FOUND": 404,
    "SYNC_NOT_FOUND": 404,
    "USER_EXISTS": 409,
    "ALREADY_CONNECTED": 409,
    "NOT_CONNECTED": 409,
    "REAUTH_REQUIRED": 409,
    "PLATFORM_UNAVAILABLE": 503,
}
CREATED = {"CreateUser", "CreateConnector"}

_STUBS = {"ConnectorService": "connectors", "SyncService": "sync", "UserService": "users"}
_METHODS: Mapping[str, MethodDescriptor] = {method.name: method for method in METHODS.values()}


@dataclass(frozen=True)
class Reply:
    """What a call answered. `code` is None where it went well; `fields` are those to blame."""

    code: str | None
    body: Json
    fields: Sequence[str] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Json:
        data: Json = self.body["data"]
        return data


class Caller:
    """Calls through Envoy over connections that are kept; counts what it called."""

    def __init__(self, stack: Stack) -> None:
        self._rest = httpx.Client(base_url=stack.rest, timeout=60)
        self._grpc = finlink_client.connect_blocking(stack.grpc, timeout=30)
        self.counts: Counter[str] = Counter()
        self.ways: Counter[str] = Counter()

    def close(self) -> None:
        self._rest.close()
        self._grpc.close()

    def call(self, way: Way, rpc: str, **fields: Any) -> Reply:
        """Fields by their JSON names, those of the path too."""
        self.counts[rpc] += 1
        self.ways[way] += 1
        return self._over_rest(rpc, fields) if way == "rest" else self._over_grpc(rpc, fields)

    def read(self, *calls: tuple[str, Json]) -> list[Json]:
        """The data of several reads at once, uncounted, over gRPC; each must go well."""
        under_way = [self._stub(rpc).future(_request(rpc, fields)) for rpc, fields in calls]
        return [_as_json(call.result())["data"] for call in under_way]

    def _stub(self, rpc: str) -> Any:
        return getattr(getattr(self._grpc, _STUBS[_METHODS[rpc].containing_service.name]), rpc)

    def _over_grpc(self, rpc: str, fields: Json) -> Reply:
        try:
            return Reply(None, _as_json(self._stub(rpc)(_request(rpc, fields))))
        except finlink_client.FinlinkError as error:
            names = [each.field for each in error.fields]
            return Reply(error.code, {}, names, error.metadata)

    def _over_rest(self, rpc: str, fields: Json) -> Reply:
        rule = _METHODS[rpc].GetOptions().Extensions[annotations_pb2.http]
        verb: str = rule.WhichOneof("pattern")
        rest = dict(fields)
        path = re.sub(r"{(\w+)}", lambda name: str(rest.pop(_camel(name[1]))), getattr(rule, verb))
        if verb in {"get", "delete"}:
            reply = self._rest.request(verb, path, params=rest)
        else:
            reply = self._rest.request(verb, path, json=rest)
        body = content_of(reply)
        error = body.get("error")
        if error is None:
            assert reply.status_code == (201 if rpc in CREATED else 200), reply.text
            return Reply(None, body)
        assert reply.status_code == STATUS_OF.get(error["code"]), reply.text
        assert error["path"] == path
        names = [each["field"] for each in error["details"]]
        return Reply(error["code"], {}, names, error.get("metadata", {}))


def _request(rpc: str, fields: Json) -> Message:
    kind = message_factory.GetMessageClass(_METHODS[rpc].input_type)
    return json_format.ParseDict(fields, kind())


def _as_json(message: Message) -> Json:
    return json_format.MessageToDict(message, always_print_fields_with_no_presence=True)


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)
