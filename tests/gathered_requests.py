"""Every RPC that changes something and whose reply is stored: a request that is right, and what it changed.

Gathered from `tests/domains/<domain>/requests.py`, each of which has

    CHANGES             what must be there before each call, and what else the call sends
    state(…)            all that its calls change of a user
    contents(…)         what must be the same after a refused call as before it
"""

from __future__ import annotations

import json
import uuid
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
import httpx
from google.protobuf import json_format
from google.protobuf.message import Message
from pymongo import MongoClient

from server.rpc.call import AUTHORIZATION, ON_BEHALF_OF
from server.rpc.method import Method
from tests.contract.descriptors import methods
from tests.domains.preparing import Prepare
from tests.e2e.connector_steps import Documents, Json
from tests.stack import Stack

HEADERS = (AUTHORIZATION, ON_BEHALF_OF)
DOMAINS = [
    import_module(f"tests.domains.{path.parent.name}.requests")
    for path in sorted(Path(__file__).parent.glob("domains/*/requests.py"))
]
METHODS: dict[str, Method] = {
    method.descriptor.name: method for method in methods() if method.stores_reply
}
CHANGES: dict[str, tuple[Prepare, Json]] = {
    name: change for domain in DOMAINS for name, change in domain.CHANGES.items()
}


def new_key() -> str:
    return f"key-{uuid.uuid4()}"


async def prepared(name: str, rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    """All fields of a request of the RPC `name` that will succeed, by JSON name.

    Of one that needs a user there are headers among them: `authorization`, or `x-on-behalf-of` for the user.
    """
    before, sent = CHANGES[name]
    request = {**await before(rest, documents, user_id), **sent}
    if not METHODS[name].access.open_without_keys and AUTHORIZATION not in request:
        request[ON_BEHALF_OF] = user_id
    return request


async def over_rest(rest: httpx.AsyncClient, name: str, request: Json, key: str) -> httpx.Response:
    method = METHODS[name]
    names = {field.name: field.json_name for field in method.request.fields}
    values = {field: request[names[field]] for field in method.path_fields}
    elsewhere = {*HEADERS, *(names[field] for field in method.path_fields)}
    body = {k: v for k, v in request.items() if k not in elsewhere}
    return await rest.request(
        method.verb.upper(),
        method.http_path.removeprefix("/api/v1").format(**values),
        headers=dict(_headers(request, key)),
        json=body if method.takes_json else None,
        params=None if method.takes_json else {k: json.dumps(v) for k, v in body.items()},
    )


async def over_grpc(channel: grpc.aio.Channel, name: str, request: Json, key: str) -> Message:
    method = METHODS[name]
    call = channel.unary_unary(
        method.path,
        request_serializer=method.request_class.SerializeToString,
        response_deserializer=method.response_class.FromString,
    )
    fields = {k: v for k, v in request.items() if k not in HEADERS}
    message = json_format.ParseDict(fields, method.request_class())
    reply: Message = await call(message, metadata=_headers(request, key), timeout=40)
    return reply


def _headers(request: Json, key: str) -> tuple[tuple[str, str], ...]:
    return (("idempotency-key", key), *((k, request[k]) for k in HEADERS if k in request))


async def state(documents: Documents, user_id: str) -> Any:
    """All that calls change of a user and what belongs to the user, but not what background work changes."""
    return [await domain.state(documents, user_id) for domain in DOMAINS]


def contents(client: MongoClient[dict[str, Any]]) -> list[Any]:
    """What must be the same after a refused call as before it."""
    return [domain.contents(client["financial_app"]) for domain in DOMAINS]


def opened(stack: Stack) -> MongoClient[dict[str, Any]]:
    return MongoClient(stack.mongodb_uri, tz_aware=True)
