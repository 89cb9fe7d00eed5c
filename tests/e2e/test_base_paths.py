"""The API under the base paths that other documents publish: the same calls, held to the same rules."""

from __future__ import annotations

import re
import uuid

import httpx
import pytest

from codegen.envoy import BASES, published
from server.rpc.method import Method
from tests.contract.descriptors import ids, methods_for_nobody
from tests.e2e.test_strictness import path_value
from tests.e2e.users_errors import failed
from tests.stack import Stack

METHODS = methods_for_nobody()


@pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))
def test_every_rpc_is_strict_under_each_and_names_the_path_that_was_called(
    stack: Stack, method: Method
) -> None:
    paths = (method.http_path, *method.other_paths)
    for template in (each for path in paths for each in published(path)):
        path = re.sub(r"\{(\w+)\}", lambda found: path_value(found[1]), template)
        verb = method.verb.upper()
        reply = httpx.request(
            verb, f"{stack.rest}{path}?nope=1", json={} if method.takes_json else None
        )
        assert reply.status_code == 400
        assert reply.json()["error"]["path"] == path
        assert "nope" in failed(reply).fields


def test_a_resource_is_the_same_under_each(stack: Stack) -> None:
    user_id = f"based_{uuid.uuid4().hex[:12]}"
    key = {"idempotency-key": uuid.uuid4().hex}
    body = {"userId": user_id, "email": f"{user_id}@example.com"}
    made = [httpx.post(f"{stack.rest}{base}/users", json=body, headers=key) for base in BASES]
    assert [reply.status_code for reply in made] == [201] * len(BASES)
    assert len({reply.json()["data"]["createdAt"] for reply in made}) == 1
    read = [httpx.get(f"{stack.rest}{base}/users/{user_id}") for base in BASES]
    assert all(reply.json()["data"] == read[0].json()["data"] for reply in read)
    assert httpx.delete(f"{stack.rest}/v1/users/{user_id}").status_code == 200
    gone = httpx.get(f"{stack.rest}/api/users/{user_id}")
    assert failed(gone).code == "USER_NOT_FOUND"
    assert gone.json()["error"]["path"] == f"/api/users/{user_id}"


@pytest.mark.parametrize("path", ["/users", "/v2/users", "/v1/v1/users", "/api/api/users", "/v1/"])
def test_there_are_no_others(stack: Stack, path: str) -> None:
    reply = httpx.get(stack.rest + path)
    assert reply.status_code == 404
    assert failed(reply).code == "ROUTE_NOT_FOUND"
