"""Every RPC is called by the end-to-end tests, over gRPC and over REST.

The sources of `tests/e2e` are read, not run, so that this holds for any selection of tests. Counted are
calls as they are written there: `stub.CreateUser(…)` for gRPC; for REST a call that has the verb (as
its name or as an argument) and the path, a literal or an f-string whose holes are path variables, from
the root or relative to `/api/v1`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from server.rpc.method import Method
from tests.contract.descriptors import ids, methods
from tests.stack import ROOT

METHODS = methods()
VERBS = ("get", "post", "put", "patch", "delete")
HOLE = "\0"
PREFIX = "/api/v1"


def calls() -> Iterator[ast.Call]:
    for source in sorted((ROOT / "tests" / "e2e").rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(), str(source))):
            if isinstance(node, ast.Call):
                yield node


def text_of(node: ast.expr) -> str | None:
    """A string as it is written, holes for what is filled in; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values
        )
    return None


def name_of(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def rest_call(call: ast.Call) -> tuple[str, str] | None:
    """The verb and the path of a REST call; None where it is none."""
    texts = [text for argument in call.args if (text := text_of(argument)) is not None]
    paths = [text for text in texts if text.startswith(("/", HOLE))]
    verbs = [word for word in (name_of(call), *texts) if word.lower() in VERBS]
    if not paths or not verbs:
        return None
    path = paths[0].partition("?")[0]
    start = path.find(PREFIX)  # after a host, where there is one
    if start < 0 and path.startswith(f"{HOLE}/"):
        path = path.removeprefix(HOLE)
    return verbs[0].lower(), path[start + len(PREFIX) :] if start >= 0 else path


def matches(method: Method, path: str) -> int:
    """How many parts of `path` are written out as in the RPC's path; -1 where it is another path."""
    ours, theirs = method.http_path.removeprefix(PREFIX).split("/"), path.split("/")
    if len(ours) != len(theirs):
        return -1
    parts = list(zip(ours, theirs, strict=True))
    if any(our != part for our, part in parts if not our.startswith("{")):
        return -1
    return sum(our == part for our, part in parts)


def over_rest() -> set[str]:
    found = set()
    for verb, path in {rest for call in calls() if (rest := rest_call(call))}:
        fitting = [
            (matches(method, path), method.path)
            for method in METHODS
            if method.verb == verb and matches(method, path) >= 0
        ]
        if fitting:
            found.add(max(fitting)[1])
    return found


def over_grpc() -> set[str]:
    return {
        call.func.attr
        for call in calls()
        if isinstance(call.func, ast.Attribute) and call.func.attr[:1].isupper()
    }


REST, GRPC = over_rest(), over_grpc()


@pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))
def test_is_called_over_rest(method: Method) -> None:
    assert method.path in REST, f"no test of {method.verb.upper()} {method.http_path}"


@pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))
def test_is_called_over_grpc(method: Method) -> None:
    assert method.descriptor.name in GRPC, f"no test of {method.path}"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('rest.get("/users")', ("get", "/users")),
        ('rest.put(f"/users/{new_id}/profile", json={})', ("put", f"/users/{HOLE}/profile")),
        ('rest.get(f"/users?limit={n}")', ("get", "/users")),
        ('call("DELETE", f"{stack.rest}/api/v1/users/{x}")', ("delete", f"/users/{HOLE}")),
        ('rest.request("POST", "/connectors", json=body)', ("post", "/connectors")),
        ('body.get("email")', None),
        ("stub.CreateUser(request)", None),
    ],
)
def test_calls_are_recognised(written: str, expected: tuple[str, str] | None) -> None:
    expression = ast.parse(written, mode="eval").body
    assert isinstance(expression, ast.Call)
    assert rest_call(expression) == expected


def test_a_written_out_path_counts_for_its_own_rpc() -> None:
    best = {
        path: max(
            (matches(method, path), method.descriptor.name)
            for method in METHODS
            if method.verb == "get" and matches(method, path) >= 0
        )[1]
        for path in ("/connectors/status", f"/connectors/{HOLE}", f"/connectors/user/{HOLE}")
    }
    assert list(best.values()) == [
        "GetConnectorStatusSummary",
        "GetConnector",
        "ListUserConnectors",
    ]
