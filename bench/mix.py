"""The mixed load, and what the product's requirements (section 6.1) ask of each kind of call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

from bench import data
from bench.open_loop import Request

# Milliseconds. User profile operations, connector status checks, data sync operations, list operations.
LIMITS_MS = {"user": 300.0, "status": 200.0, "sync": 2_000.0, "list": 500.0}
TITLES = {
    "user": "user operations",
    "status": "connector status checks",
    "sync": "sync operations",
    "list": "list operations",
}
# Of a thousand requests.
SHARES = {
    "get user": 600,
    "change profile": 40,
    "make user": 10,
    "connectors of a user": 150,
    "list users": 80,
    "list connectors": 20,
    "status": 80,
    "sync status": 15,
    "sync": 5,
}


def requests(count: int, users: int, connectors: list[str], seed: int) -> Iterator[Request]:
    """So many of the mix. `connectors`: ids of those that are connected and may be synced."""
    draw = Random(seed)  # noqa: S311 - no secret
    hot = data.hot_ids(users)
    names = draw.choices(list(SHARES), list(SHARES.values()), k=count)
    for number, name in enumerate(names):
        user_id = hot[int(len(hot) ** draw.random()) - 1]
        yield _request(name, user_id, draw.choice(connectors), f"new_{seed}_{number}")


def _request(name: str, user_id: str, connector_id: str, new_id: str) -> Request:
    users, connectors = "/api/v1/users", "/api/v1/connectors"
    changed = {"city": "Pune", "income": 750_000}
    person = {"userId": new_id, "email": f"{new_id}@example.com", "firstName": "John"}
    kind, verb, path, body = {
        "get user": ("user", "GET", f"{users}/{user_id}", None),
        "change profile": ("user", "PUT", f"{users}/{user_id}/profile", changed),
        "make user": ("user", "POST", users, person),
        "connectors of a user": ("list", "GET", f"{connectors}/user/{user_id}", None),
        "list users": ("list", "GET", f"{users}?limit=20", None),
        "list connectors": ("list", "GET", f"{connectors}?limit=20", None),
        "status": ("status", "GET", f"{connectors}/status", None),
        "sync status": ("status", "GET", f"{connectors}/{connector_id}/sync-status", None),
        "sync": ("sync", "POST", f"{connectors}/{connector_id}/sync", {}),
    }[name]
    return Request(kind, verb, path, b"" if body is None else json.dumps(body).encode())
