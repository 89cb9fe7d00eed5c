"""Bad input of every kind over REST: the documented error with the field named, and nothing changed."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.descriptor import FieldDescriptor
from pymongo import MongoClient

from server.rpc.method import Method
from tests.contract.descriptors import VALUES, ids, methods, methods_for_nobody
from tests.e2e.strictness_calls import chunked, raw, streamed, zeros
from tests.e2e.users_errors import Failure, failed
from tests.gathered_requests import contents, opened
from tests.stack import Stack

METHODS = methods_for_nobody()
WITH_BODY = [method for method in METHODS if method.takes_json]
WITHOUT_BODY = [
    method
    for method in METHODS
    if not method.takes_json and method.http_path.startswith("/api/v1/")
]
JSON = b"Content-Type: application/json"
INVALID_HTTP = "The request is not valid HTTP, or its path has escaped slashes"
ROUTE_NOT_FOUND = Failure("ROUTE_NOT_FOUND", "No such path, or not this method on it")
# Those that are no id of Finlink's own.
PATH_VALUES = {"user_id": "strict_user", "platform": "zerodha", "sync_id": "sync_" + "0" * 24}


def path_value(name: str) -> str:
    """A value of a path variable that is right, of nothing there is but the user."""
    return PATH_VALUES.get(name, "0" * 24)


@pytest.fixture(scope="module")
def mongo(stack: Stack) -> Iterator[MongoClient[dict[str, Any]]]:
    with opened(stack) as client:
        yield client


@pytest.fixture(scope="module")
def strict_user(stack: Stack) -> str:
    """A user that calls could do harm to."""
    user_id = f"strict_{uuid.uuid4().hex[:12]}"
    body = {"userId": user_id, "email": f"{user_id}@example.com", "city": "Pune"}
    reply = httpx.post(f"{stack.rest}/api/v1/users", json=body)
    assert reply.status_code == 201, reply.text
    return user_id


@pytest.fixture(autouse=True)
def _nothing_changes(strict_user: str, mongo: MongoClient[dict[str, Any]]) -> Iterator[None]:
    before = contents(mongo)
    assert mongo["financial_app"]["users"].count_documents({"userId": strict_user}) == 1
    yield
    assert contents(mongo) == before


def filled(method: Method, **values: str) -> str:
    """The path of an RPC below `/api/v1`, its variables filled in."""
    path = method.http_path.removeprefix("/api/v1")
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1]) or path_value(found[1]), path)


def wrong_fields(failure: Failure) -> set[str]:
    assert failure.code == "VALIDATION_ERROR"
    assert failure.message == "Validation failed"
    return set(failure.fields)


async def post(rest: httpx.AsyncClient, body: bytes | str) -> Failure:
    reply = await rest.post("/users", content=body, headers={"content-type": "application/json"})
    return failed(reply)


def user_json(**fields: str) -> bytes:
    """A body that would create a user, and fields as they are written in JSON."""
    name = f"never_{uuid.uuid4().hex}"
    members = {"userId": f'"{name}"', "email": f'"{name}@example.com"', **fields}
    return ("{" + ", ".join(f'"{key}": {value}' for key, value in members.items()) + "}").encode()


# --- bodies -----------------------------------------------------------------------------------

MALFORMED = {
    "cut off": b'{"userId": "a", "email": ',
    "a comma too many": b'{"userId": "a",}',
    "single quotes": b"{'userId': 'a'}",
    "two objects": b'{"userId": "a"} {"userId": "b"}',
    "a list": b'[{"userId": "a"}]',
    "a string": b'"userId"',
    "a number": b"5",
    "null": b"null",
    "NaN alone": b"NaN",
    "bad UTF-8": b'{"userId": "\xff\xfe"}',
    "an encoded surrogate": b'{"city": "\xed\xa0\x80"}',
    "a byte order mark": b'\xef\xbb\xbf{"userId": "a"}',
    "UTF-16": '{"userId": "a"}'.encode("utf-16"),
    "a raw NUL": b'{"userId": "a\x00"}',
    "a raw control character": b'{"userId": "a\x01"}',
    "deep lists": b'{"city": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "deep objects": b'{"city": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
    "a number of too many digits": b'{"income": ' + b"9" * 50_000 + b"}",
    "a form": b"userId=a&email=a%40example.com",
    "XML": b"<user><userId>a</userId></user>",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_a_body_that_is_not_one_json_object(rest: httpx.AsyncClient, body: bytes) -> None:
    failure = await post(rest, body)
    assert wrong_fields(failure) == {"body"}


def wants_an_object(field: FieldDescriptor | None) -> bool:
    if field is None or field.message_type is None or field.message_type.full_name in VALUES:
        return False
    return not field.is_repeated or field.message_type.GetOptions().map_entry


@pytest.mark.parametrize("method", WITH_BODY, ids=ids(WITH_BODY))
@pytest.mark.parametrize("body", ["malformed", "list", "unknown", "snake", "operator", "query"])
async def test_every_rpc_with_a_body_is_strict(
    rest: httpx.AsyncClient, method: Method, body: str
) -> None:
    first = next(iter(method.sent_fields), "anything")
    content, expected = {
        "malformed": ('{"a": ', "body"),
        "list": ("[]", "body"),
        "unknown": ('{"nope": 1}', "nope"),
        "snake": ('{"some_field": 1}', "some_field"),
        "operator": (f'{{"{first}": {{"$gt": 5}}}}', first),
        "query": ("{}", "dryRun"),
    }[body]
    query = "?dryRun=1" if body == "query" else ""
    reply = await rest.request(
        method.verb.upper(),
        filled(method) + query,
        content=content,
        headers={"content-type": "application/json"},
    )
    found = wrong_fields(failed(reply))
    field = method.sent_fields.get(first)
    if body == "operator" and wants_an_object(field):
        expected = f"{first}.$gt"  # an object is what it wants
    assert expected in found


@pytest.mark.parametrize("method", WITHOUT_BODY, ids=ids(WITHOUT_BODY))
async def test_every_rpc_without_a_body_is_strict(rest: httpx.AsyncClient, method: Method) -> None:
    reply = await rest.request(method.verb.upper(), f"{filled(method)}?nope=1&some_field=2")
    assert wrong_fields(failed(reply)) >= {"nope", "some_field"}


WITH_PATH = [method for method in METHODS if method.path_fields]


@pytest.mark.parametrize("method", WITH_PATH, ids=ids(WITH_PATH))
async def test_every_path_variable_is_checked_and_is_not_overridden(
    rest: httpx.AsyncClient, method: Method
) -> None:
    names = {method.request.fields_by_name[name].json_name: name for name in method.path_fields}
    path = filled(method, **dict.fromkeys(method.path_fields, "not-valid"))
    headers = {"content-type": "application/json"}
    content = b"{}" if method.takes_json else None
    verb = method.verb.upper()
    reply = await rest.request(verb, path, content=content, headers=headers)
    assert wrong_fields(failed(reply)) >= names.keys()

    query = "&".join(f"{json_name}={path_value(name)}" for json_name, name in names.items())
    for each in (path, filled(method)):
        reply = await rest.request(verb, f"{each}?{query}", content=content, headers=headers)
        failure = failed(reply)
        assert {failure.fields[name] for name in names} == {
            "is given by the path and must not be sent again"
        }


FIELDS = {
    "a number for a string": ({"firstName": "5"}, {"firstName"}),
    "a flag for a string": ({"city": "true"}, {"city"}),
    "a list for a string": ({"city": '["Pune"]'}, {"city"}),
    "an operator for a string": ({"city": '{"$gt": ""}'}, {"city"}),
    "an operator for the id": ({"userId": '{"$gt": ""}'}, {"userId"}),
    "an operator for the email": ({"email": '{"$ne": null}'}, {"email"}),
    "an operator as a text": ({"userId": '"{\\"$gt\\": \\"\\"}"'}, {"userId"}),
    "a quoted number": ({"income": '"1500000"'}, {"income"}),
    "a flag for a number": ({"income": "true"}, {"income"}),
    "NaN": ({"income": "NaN"}, {"income"}),
    "Infinity": ({"income": "Infinity"}, {"income"}),
    "-Infinity": ({"income": "-Infinity"}, {"income"}),
    "a number that overflows": ({"income": "1e999"}, {"income"}),
    "a huge integer": ({"income": "9" * 400}, {"income"}),
    "zero": ({"income": "0"}, {"income"}),
    "a number that underflows to zero": ({"income": "1e-999"}, {"income"}),
    "a quoted flag": (
        {"preferences": '{"notifications": {"sms": "true"}}'},
        {"preferences.notifications.sms"},
    ),
    "a number for a flag": (
        {"preferences": '{"notifications": {"sms": 1}}'},
        {"preferences.notifications.sms"},
    ),
    "a string for an object": ({"preferences": '"INR"'}, {"preferences"}),
    "a list for an object": ({"metadata": "[]"}, {"metadata"}),
    "a string for a list": ({"metadata": '{"tags": "a"}'}, {"metadata.tags"}),
    "an object for a list": ({"metadata": '{"tags": {"0": "a"}}'}, {"metadata.tags"}),
    "null in a list": ({"metadata": '{"tags": ["a", null]}'}, {"metadata.tags[1]"}),
    "an unknown field": ({"isAdmin": "true"}, {"isAdmin"}),
    "an unknown field inside": ({"metadata": '{"isAdmin": true}'}, {"metadata.isAdmin"}),
    "a field of the database": ({"_id": '"1"'}, {"_id"}),
    "an operator as a field": ({"$where": '"1"'}, {"$where"}),
    "__proto__": ({"__proto__": '{"status": "active"}'}, {"__proto__"}),
    "a dotted field": ({"preferences.currency": '"USD"'}, {"preferences.currency"}),
    "the field Envoy uses": ({"httpBody": '"x"'}, {"httpBody"}),
    "a field in snake_case": ({"first_name": '"John"'}, {"first_name"}),
    "a field in another case": ({"FirstName": '"John"'}, {"FirstName"}),
    "an escaped NUL": ({"city": '"Pu\\u0000ne"'}, {"city"}),
    "an escaped NUL in the id": ({"userId": '"a\\u0000"'}, {"userId"}),
    "a line feed": ({"city": '"Pu\\nne"'}, {"city"}),
    "DEL": ({"city": '"Pu\\u007fne"'}, {"city"}),
    "a C1 control character": ({"city": '"Pu\\u0085ne"'}, {"city"}),
    "NUL in a tag": ({"metadata": '{"tags": ["\\u0000"]}'}, {"metadata.tags[0]"}),
    "a lone surrogate": ({"city": '"\\ud800"'}, {"city"}),
    "a lone low surrogate": ({"city": '"a\\udc00b"'}, {"city"}),
    "a surrogate pair the wrong way round": ({"city": '"\\ude00\\ud83d"'}, {"city"}),
    "a lone surrogate in a name": ({"c\\ud800": '"Pune"'}, {"c\ud800"}),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "named"), FIELDS.values(), ids=FIELDS)
async def test_a_wrong_field_is_named(
    rest: httpx.AsyncClient, fields: dict[str, str], named: set[str]
) -> None:
    assert wrong_fields(await post(rest, user_json(**fields))) == named


async def test_a_field_that_comes_twice(rest: httpx.AsyncClient) -> None:
    body = user_json(city='"Pune"').replace(b"}", b', "city": "Delhi"}')
    assert (await post(rest, body)).fields == {"city": "must be given once"}
    spelled = user_json(city='"Pune"').replace(b"}", b', "c\\u0069ty": "Pune"}')
    assert (await post(rest, spelled)).fields == {"city": "must be given once"}
    inside = user_json(metadata='{"source": "a", "source": "b"}')
    assert (await post(rest, inside)).fields == {"metadata.source": "must be given once"}


async def test_six_wrong_fields_are_all_named(rest: httpx.AsyncClient) -> None:
    """Wrong types, broken rules, an unknown field and a repeated one, in one body."""
    body = (
        b'{"userId": "no spaces", "email": 5, "phoneNumber": "+0-12", "dateOfBirth": "2023-02-29",'
        b' "income": "1500000", "riskTolerance": "extreme", "is_admin": true,'
        b' "city": "a", "city": "b", "preferences": {"currency": "RUPEE"}}'
    )
    failure = await post(rest, body)
    assert wrong_fields(failure) == {
        "userId", "email", "phoneNumber", "dateOfBirth", "income", "riskTolerance", "is_admin",
        "city", "preferences.currency",
    }  # fmt: skip
    six = b'{"userId": "", "email": "x", "firstName": 1, "income": -1, "city": "\\u0000", "x": 1}'
    assert wrong_fields(await post(rest, six)) == {
        "userId", "email", "firstName", "income", "city", "x",
    }  # fmt: skip


async def test_what_is_needed_is_named_where_it_is_missing(rest: httpx.AsyncClient) -> None:
    for body in (b"", b"{}", b'{"userId": null, "email": null}'):
        assert wrong_fields(await post(rest, body)) == {"userId", "email"}


async def test_a_long_field_is_named_and_the_reply_stays_small(
    rest: httpx.AsyncClient, strict_user: str
) -> None:
    body = {"city": "Delhi", "updateMask": "a" * 20_000}
    reply = await rest.put(f"/users/{strict_user}/profile", json=body)
    assert wrong_fields(failed(reply)) == {"updateMask"}
    assert len(reply.content) < 16_000


async def test_very_many_wrong_fields_are_counted(rest: httpx.AsyncClient) -> None:
    fields = {f"unknown{number}": "1" for number in range(2_000)}
    reply = await rest.post("/users", content=user_json(**fields))
    failure = failed(reply)
    assert "unknown0" in failure.fields
    assert re.fullmatch(r"and \d+ more", failure.fields[""])
    assert len(failure.fields) - 1 + int(failure.fields[""].split()[1]) == 2_000
    assert len(reply.content) < 16_000


# --- size -------------------------------------------------------------------------------------

TOO_LARGE = Failure("PAYLOAD_TOO_LARGE", "The request body is larger than 64 KiB")


async def test_64_kib_are_read_and_one_byte_more_is_not(
    rest: httpx.AsyncClient, strict_user: str
) -> None:
    url, headers = f"/users/{strict_user}/profile", {"content-type": "application/json"}
    full = b'{"nope": 1}'.ljust(64 * 1024)
    reply = await rest.put(url, content=full, headers=headers)
    assert wrong_fields(failed(reply)) == {"nope"}
    reply = await rest.put(url, content=full + b" ", headers=headers)
    assert reply.status_code == 413
    assert failed(reply) == TOO_LARGE


HUNDRED_MB = 100 * 1024 * 1024


def test_a_body_of_100_mb(stack: Stack) -> None:
    line, path = b"POST /api/v1/users HTTP/1.1", "/api/v1/users"
    length = b"Content-Length: %d" % HUNDRED_MB
    reply = streamed(stack.rest, line, JSON, length, body=zeros(HUNDRED_MB))
    assert reply.status == 413
    assert reply.failure(path) == TOO_LARGE
    without_length = b"Transfer-Encoding: chunked"
    reply = streamed(stack.rest, line, JSON, without_length, body=chunked(zeros(HUNDRED_MB)))
    assert reply.status == 413
    assert reply.failure(path) == TOO_LARGE


# --- routes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/api", "/api/v1", "/api/v1/", "/api/v1/user", "/api/v1/USERS", "/api/v2/users",
     "/api/v1/users/a/b", "/api/v1/users/a/profile/x", "/api/v1/users:nope", "/users",
     "/api/v1/connectors/status/x", "/metrics", "/stats", "/healthz",
     "/finlink.users.v1.UserService/ListUsers", "/api/v1/users;x=1", "/api/v1/users%3AbatchGet"],
)  # fmt: skip
def test_unknown_routes(stack: Stack, path: str) -> None:
    reply = raw(stack.rest, b"GET %s?secret=1 HTTP/1.1" % path.encode())
    assert reply.status == 404
    assert reply.failure(path) == ROUTE_NOT_FOUND


ROUTES = sorted({path for each in METHODS for path in (each.http_path, *each.other_paths)})


def serves(verb: str, path: str) -> bool:
    patterns = (
        re.sub(r"\{\w+\}", "[^/]+", each)
        for method in methods()
        for each in (method.http_path, *method.other_paths)
        if method.verb.upper() == verb
    )
    return any(re.fullmatch(pattern, path) for pattern in patterns)


@pytest.mark.parametrize("route", ROUTES)
async def test_wrong_verbs(rest: httpx.AsyncClient, route: str) -> None:
    path = re.sub(r"\{(\w+)\}", lambda found: path_value(found[1]), route)
    refused = []
    for verb in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        if not serves(verb, path):
            reply = await rest.request(verb, path.removeprefix("/api/v1"), content=b"{}")
            assert failed(reply) == ROUTE_NOT_FOUND
            refused.append(verb)
    assert refused
    if "GET" in refused:  # otherwise HEAD is served, too
        assert (await rest.head(path.removeprefix("/api/v1"))).status_code == 404


# --- paths and queries ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/api/v1/users/a%2Fb", "/api/v1/users/a/b"),
        ("/api/v1/users/a%2fprofile", "/api/v1/users/a/profile"),
        ("/api/v1/users/..%2Fusers", None),
        ("/api/v1/users%5Ca", None),
        ("/api/v1/users/a%00b", "/api/v1/users/a%00b"),
        ("/api/v1/users/%00", "/api/v1/users/%00"),
    ],
)
def test_escapes_that_could_hide_something(stack: Stack, path: str, shown: str | None) -> None:
    reply = raw(stack.rest, b"GET %s?x=1 HTTP/1.1" % path.encode())
    assert reply.status == 400
    shown = shown or json.loads(reply.content)["error"]["path"]
    assert reply.failure(shown) == Failure("VALIDATION_ERROR", INVALID_HTTP)
    assert "?" not in shown


@pytest.mark.parametrize("path", ["/api/v1/users/a%FFb", "/api/v1/users/%C0%80"])
def test_a_path_that_is_not_utf_8(stack: Stack, path: str) -> None:
    reply = raw(stack.rest, b"GET %s HTTP/1.1" % path.encode())
    assert reply.failure(path) == Failure("VALIDATION_ERROR", "The path is not valid UTF-8")


@pytest.mark.parametrize(
    "line",
    [b"GET /api/v1/users/a\xffb HTTP/1.1", b"GET /api/v1/users?city=\xff HTTP/1.1",
     b"GET /api/v1/users\x00 HTTP/1.1", b"BREW /api/v1/users HTTP/1.1",
     b"GET api/v1/users HTTP/9.9"],
)  # fmt: skip
def test_what_is_no_http(stack: Stack, line: bytes) -> None:
    reply = raw(stack.rest, line)
    assert reply.status == 400
    shown = json.loads(reply.content)["error"]["path"]
    assert reply.failure(shown) == Failure("VALIDATION_ERROR", INVALID_HTTP)


@pytest.mark.parametrize(
    "spelling", ["//api/v1/users/{}", "/api//v1/users//{}", "/api/v1/./users/{}",
                 "/api/v1/connectors/../users/{}", "/api/v1/%75sers/{}"],
)  # fmt: skip
def test_another_spelling_is_the_same_path(stack: Stack, strict_user: str, spelling: str) -> None:
    """Refused or served, and if it is served then by the same rules."""
    path = spelling.format(strict_user).encode()
    reply = raw(stack.rest, b"GET " + path + b" HTTP/1.1")
    assert reply.status == 200
    assert json.loads(reply.content)["data"]["userId"] == strict_user
    reply = raw(stack.rest, b"GET " + path + b"?userId=other HTTP/1.1")
    failure = reply.failure(f"/api/v1/users/{strict_user}")
    assert wrong_fields(failure) == {"userId"}
    reply = raw(stack.rest, b"DELETE " + path + b"?force=1 HTTP/1.1")
    assert wrong_fields(reply.failure(f"/api/v1/users/{strict_user}")) == {"force"}


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("nope=1", {"nope"}),
        ("nope", {"nope"}),
        ("=1", {""}),
        ("risk_tolerance=low", {"risk_tolerance"}),
        ("Status=active", {"Status"}),
        ("status[$ne]=active", {"status[$ne]"}),
        ("status=active&status=active", {"status"}),
        ("limit=1&lim%69t=2", {"limit"}),
        ("limit=%31%30%30%30", {"limit"}),
        ("limit=1e1", {"limit"}),
        ("limit=0x10", {"limit"}),
        ("limit=%22" + "1%22", {"limit"}),
        ("limit=99999999999999999999", {"limit"}),
        ("limit=%EF%BC%91", {"limit"}),
        ("page=1.5", {"page"}),
        ("page=1?x=2", {"page"}),
        ("city=%FF", {"city"}),
        ("city=%00", {"city"}),
        ("city=a%0Ab", {"city"}),
        ("%FF=1", {"%FF"}),
        ("city=" + "x" * 8_000, {"city"}),
        ("page=0&limit=0&status=x&riskTolerance=x&pageToken=&city=%00&nope=1",
         {"page", "limit", "status", "riskTolerance", "pageToken", "city", "nope"}),
    ],
)  # fmt: skip
async def test_queries(rest: httpx.AsyncClient, query: str, named: set[str]) -> None:
    assert wrong_fields(failed(await rest.get(f"/users?{query}"))) == named


# --- headers ----------------------------------------------------------------------------------


async def test_headers_of_ours_are_taken_from_nobody(
    rest: httpx.AsyncClient, strict_user: str
) -> None:
    headers = {
        "x-envoy-original-path": "/api/v1/elsewhere?city=Delhi",
        "x-envoy-original-method": "DELETE",
        "x-finlink-status": "204",
        "x-finlink-error": "{}",
        "grpc-timeout": "1n",
        "grpc-status": "0",
        "some-bin": "%%%",
    }
    good = await rest.get(f"/users/{strict_user}", headers=headers)
    assert good.status_code == 200
    bad = await rest.get(f"/users/{strict_user}?x=1", headers=headers)
    assert wrong_fields(failed(bad)) == {"x"}


@pytest.mark.parametrize("content_type", [b"application/grpc", b"application/grpc+proto"])
@pytest.mark.parametrize("path", [b"/api/v1/users", b"/finlink.users.v1.UserService/ListUsers"])
def test_grpc_is_not_spoken_here(stack: Stack, content_type: bytes, path: bytes) -> None:
    """A gRPC call on the REST port must not get round the transcoder, nor a 200 without a body."""
    reply = raw(
        stack.rest,
        b"POST " + path + b" HTTP/1.1",
        b"Content-Type: " + content_type,
        b"TE: trailers",
        body=b"\0\0\0\0\0",
    )
    if reply.headers["content-type"].startswith("application/grpc"):  # told in gRPC's own way
        assert reply.headers["grpc-status"] == str(grpc.StatusCode.UNIMPLEMENTED.value[0])
    else:
        assert reply.failure(path.decode()).code in {"VALIDATION_ERROR", "ROUTE_NOT_FOUND"}


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", ""])
async def test_the_content_type_changes_nothing(rest: httpx.AsyncClient, content_type: str) -> None:
    reply = await rest.post("/users", content=b"{", headers={"content-type": content_type})
    assert wrong_fields(failed(reply)) == {"body"}


@pytest.mark.parametrize("kind", ["one long header", "many headers", "a long path"])
def test_headers_have_a_limit(stack: Stack, kind: str) -> None:
    headers, path = [], b"/api/v1/users"
    if kind == "one long header":
        headers = [b"X-Long: " + b"a" * 20_000]
    elif kind == "many headers":
        headers = [b"X-%d: 1" % number for number in range(100)]
    else:
        path += b"/" + b"a" * 20_000
    reply = raw(stack.rest, b"GET " + path + b" HTTP/1.1", *headers)
    assert reply.status == 431
    error = json.loads(reply.content)["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert error.keys() == {"code", "message", "details", "timestamp", "path"}


async def test_a_path_of_15_kb_is_served(rest: httpx.AsyncClient) -> None:
    reply = await rest.get(f"/users/{'a' * 15_000}")
    assert wrong_fields(failed(reply)) == {"userId"}


@pytest.mark.parametrize(
    ("path", "status"),
    [("/users?limit=1", 200), ("/users/nobody_here", 404), ("/users?x=1", 400), ("/nope", 404)],
)
async def test_a_request_id_is_echoed_or_made(
    rest: httpx.AsyncClient, path: str, status: int
) -> None:
    sent = f"test-{uuid.uuid4()}"
    reply = await rest.get(path, headers={"x-request-id": sent})
    assert reply.status_code == status
    assert reply.headers["x-request-id"] == sent
    made = [(await rest.get(path)).headers["x-request-id"] for _ in range(2)]
    assert all(made)
    assert made[0] != made[1]


async def test_the_path_of_an_error_is_without_its_query(rest: httpx.AsyncClient) -> None:
    reply = await rest.get("/users/nobody_here?")
    assert failed(reply) == Failure("USER_NOT_FOUND", "User not found")
    for path in ("/users?limit=0&city=secret", "/nope?city=secret"):
        content = (await rest.get(path)).text
        assert "secret" not in content
        assert "?" not in json.loads(content)["error"]["path"]
