"""REST calls become request messages, or everything wrong with them is named."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from server.core.errors import InvalidRequest
from server.rpc import strict_json
from server.rpc.http_binding import HttpBinding
from server.rpc.method import Method
from tests.rpc.samples import METHODS, build, valid
from tests.stack import ROOT

WITH_BODY = {name: method for name, method in METHODS.items() if method.takes_json}
WITH_QUERY = {name: method for name, method in METHODS.items() if not method.takes_json}
with_body = pytest.mark.parametrize("method", WITH_BODY.values(), ids=WITH_BODY)
with_query = pytest.mark.parametrize("method", WITH_QUERY.values(), ids=WITH_QUERY)

ID = "0" * 24
PATH = defaultdict(lambda: ID, user_id="user_1", platform="zerodha", sync_id=f"sync_{ID}")


@cache
def envoy_class(name: str) -> type[Message]:
    """A request message as Envoy has it: the path's fields and the raw body."""
    content = (ROOT / "gen" / "envoy.binpb").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(content).file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def arrived(method: Method, body: bytes, path: Mapping[str, str] = PATH) -> Message:
    """The request as it comes from Envoy."""
    sent = envoy_class(method.request.full_name)()
    for name in method.path_fields:
        setattr(sent, name, path[name])
    sent.http_body.data = body  # type: ignore[attr-defined]
    sent.http_body.content_type = "application/json"  # type: ignore[attr-defined]
    return method.request_class.FromString(sent.SerializeToString())


def bind(
    method: Method | str, body: object = b"", query: str = ""
) -> tuple[Message, dict[str, str]]:
    """The message bound from body and query, and what is wrong by field."""
    method = METHODS[method] if isinstance(method, str) else method
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    message = arrived(method, raw)
    wrong = HttpBinding(method).bind(message, query)
    named = {error.field: error.message for error in wrong}
    assert query or len(named) == len(wrong), "each field is named once"
    return message, named


def expected_message(method: Method, value: Mapping[str, Any]) -> Message:
    """What protobuf's own JSON reader makes of the body, with the path's fields."""
    message = method.request_class(**{name: PATH[name] for name in method.path_fields})
    json_format.ParseDict(dict(value), message)
    if "update_mask" in method.request.fields_by_name:
        message.update_mask.paths.extend(_emptied(method.request, value))  # type: ignore[attr-defined]
        if not message.update_mask.paths and value.get("updateMask") is None:  # type: ignore[attr-defined]
            message.ClearField("update_mask")
    return message


def _emptied(described: Descriptor, value: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The lists that are sent empty, inside of objects too: that removes them."""
    for field in described.fields:
        sent = value.get(field.json_name)
        if field.is_repeated and sent == []:
            yield prefix + field.name
        elif isinstance(sent, dict) and field.message_type is not None and not field.is_repeated:
            yield from _emptied(field.message_type, sent, f"{prefix}{field.name}.")


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "12", "true", "a", "city", "city,lastName", "tags", "é", "2024-01-01"])
    | st.text(max_size=5)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["email", "sms", "source", "tags"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def json_values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """JSON of the kind a field wants, mostly."""
    if field.is_repeated:
        return st.lists(st.text(max_size=4) | LEAVES, max_size=3)
    if field.message_type is not None and field.message_type.name == "FieldMask":
        return st.sampled_from(
            ["", "city", "tags,source", "notifications.sms", "a.bC", "a_b", ",", 1]
        )
    if field.message_type is not None:
        inner = {each.json_name: each for each in field.message_type.fields}
        return json_objects(inner)
    by_type: dict[int, st.SearchStrategy[Any]] = {
        FieldDescriptor.TYPE_STRING: st.text(max_size=8),
        FieldDescriptor.TYPE_BOOL: st.booleans(),
        FieldDescriptor.TYPE_DOUBLE: st.floats() | st.integers(),
        FieldDescriptor.TYPE_INT32: st.integers(-(2**31) - 1, 2**31) | st.floats(-10, 10),
    }
    return by_type[field.type]


def json_objects(fields: Mapping[str, FieldDescriptor]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {}, optional={name: json_values(field) for name, field in fields.items()}
    )


@with_body
@settings(max_examples=60)
@given(data=st.data())
def test_any_json_object_is_read_as_protobuf_reads_it_or_refused(
    method: Method, data: st.DataObject
) -> None:
    value = data.draw(json_objects(method.sent_fields))
    names = st.sampled_from([*method.sent_fields, *(f.name for f in method.request.fields), "x"])
    value |= data.draw(st.dictionaries(names, VALUES, max_size=2))
    message, wrong = bind(method, value)
    if not wrong:
        assert message == expected_message(method, value)


@with_body
@settings(max_examples=30)
@given(value=VALUES)
def test_any_json_at_all_is_read_or_refused(method: Method, value: Any) -> None:
    if isinstance(value, dict):
        bind(method, value)
    else:
        with pytest.raises(InvalidRequest) as raised:
            bind(method, value)
        assert [error.field for error in raised.value.fields] == ["body"]


@with_body
@settings(max_examples=40)
@given(data=st.data())
def test_a_valid_message_comes_through_json_unchanged(method: Method, data: st.DataObject) -> None:
    content = data.draw(valid(method)) | {name: PATH[name] for name in method.path_fields}
    message = build(method, content)
    sent = json_format.MessageToDict(message)
    for name in method.path_fields:
        del sent[method.request.fields_by_name[name].json_name]
    bound, wrong = bind(method, sent)
    assert wrong == {}
    assert bound == message


@with_query
@settings(max_examples=40)
@given(data=st.data())
def test_a_valid_message_comes_through_the_query_unchanged(
    method: Method, data: st.DataObject
) -> None:
    content = data.draw(valid(method)) | {name: PATH[name] for name in method.path_fields}
    escape = data.draw(st.sampled_from([quote, quote_plus]))
    parts = [
        f"{field.json_name}={escape(item if isinstance(item, str) else json.dumps(item), safe='')}"
        for field in method.sent_fields.values()
        if field.name in content
        for item in (content[field.name] if field.is_repeated else [content[field.name]])
    ]
    bound, wrong = bind(method, query="&".join(parts))
    assert wrong == {}
    assert bound == build(method, content)


@with_query
@settings(max_examples=40)
@given(
    query=st.text(max_size=30)
    | st.lists(
        st.sampled_from(
            ["limit", "page", "city", "userIds", "status", "=", "&", "%ff", "%", "+", "1", ","]
        )
    ).map("".join)
)
def test_any_query_is_read_or_refused(method: Method, query: str) -> None:
    ascii_query = query.encode("utf-8", "ignore").decode("ascii", "ignore")
    message, wrong = bind(method, query=ascii_query)
    assert isinstance(message, method.request_class)
    if method.sent_fields == {} and ascii_query.strip("&"):
        assert wrong


@given(
    body=st.binary(max_size=80)
    | st.dictionaries(st.text(max_size=3), LEAVES, max_size=2).map(lambda v: json.dumps(v).encode())
)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        readable = not body.strip() or isinstance(strict_json.parse(body), dict)
    except strict_json.MalformedJson:
        readable = False
    if readable:
        bind("UpdateUserProfile", body)
    else:
        with pytest.raises(InvalidRequest) as raised:
            bind("UpdateUserProfile", body)
        assert [error.field for error in raised.value.fields] == ["body"]


CREATE = "CreateUser"


@pytest.mark.parametrize(
    ("method", "body", "wrong"),
    [
        # strings
        (CREATE, {"city": 5}, {"city": "must be a string"}),
        (CREATE, {"city": True}, {"city": "must be a string"}),
        (CREATE, {"city": ["a"]}, {"city": "must be a string"}),
        (CREATE, {"city": {"$gt": ""}}, {"city": "must be a string"}),
        (
            CREATE,
            rb'{"city": "\ud800"}',
            {"city": "must be valid Unicode, without lone surrogates"},
        ),
        # numbers
        (CREATE, {"income": "5"}, {"income": "must be a number, without quotes"}),
        (CREATE, {"income": True}, {"income": "must be a number, without quotes"}),
        (CREATE, {"income": [1]}, {"income": "must be a number, without quotes"}),
        (CREATE, {"income": math.nan}, {"income": "must be a finite number"}),
        (CREATE, {"income": -math.inf}, {"income": "must be a finite number"}),
        (CREATE, b'{"income": 1e999}', {"income": "must be a finite number"}),
        (CREATE, {"income": 10**400}, {"income": "must be a finite number"}),
        (
            "UpdateSyncSettings",
            {"syncInterval": "5"},
            {"syncInterval": "must be a number, without quotes"},
        ),
        ("UpdateSyncSettings", {"syncInterval": 5.5}, {"syncInterval": "must be a whole number"}),
        (
            "UpdateSyncSettings",
            b'{"syncInterval": 1e999}',
            {"syncInterval": "must be a whole number"},
        ),
        (
            "UpdateSyncSettings",
            {"syncInterval": 2**31},
            {"syncInterval": "must be a whole number of at most 32 bits"},
        ),
        (
            "UpdateSyncSettings",
            {"syncInterval": math.nan},
            {"syncInterval": "must be a finite number"},
        ),
        # flags
        (
            "UpdateSyncSettings",
            {"autoSync": "true"},
            {"autoSync": "must be true or false, without quotes"},
        ),
        (
            "UpdateSyncSettings",
            {"autoSync": 1},
            {"autoSync": "must be true or false, without quotes"},
        ),
        # lists
        ("CreateConnector", {"permissions": "profile"}, {"permissions": "must be a list"}),
        ("CreateConnector", {"permissions": {"0": "profile"}}, {"permissions": "must be a list"}),
        (
            "CreateConnector",
            {"permissions": ["profile", 1, None, ["trades"]]},
            {
                "permissions[1]": "must be a string",
                "permissions[2]": "must be a string",
                "permissions[3]": "must be a string",
            },
        ),
        (
            "UpdateSyncSettings",
            {"dataTypes": []},
            {"dataTypes": "must have at least one item, or be left out"},
        ),
        # objects
        ("CreateConnector", {"credentials": "x"}, {"credentials": "must be an object"}),
        ("CreateConnector", {"credentials": []}, {"credentials": "must be an object"}),
        (
            "CreateConnector",
            {"credentials": {"username": {"$gt": ""}, "api_key": "k", "pin": "1"}},
            {
                "credentials.username": "must be a string",
                "credentials.api_key": "unknown field; did you mean apiKey?",
                "credentials.pin": "unknown field; known are apiKey, apiSecret, password, "
                "requestToken, username",
            },
        ),
        (
            CREATE,
            {"preferences": {"notifications": {"email": "yes"}}},
            {"preferences.notifications.email": "must be true or false, without quotes"},
        ),
        # names
        (CREATE, {"user_id": "a"}, {"user_id": "unknown field; did you mean userId?"}),
        (
            "UpdateUserStatus",
            {"state": "x"},
            {"state": "unknown field; known are status"},
        ),
        (
            "UpdateUserStatus",
            {"userId": "another", "status": "active"},
            {"userId": "is given by the path and must not be sent again"},
        ),
        (CREATE, b'{"city": "a", "city": "a"}', {"city": "must be given once"}),
        (
            CREATE,
            b'{"metadata": {"source": "a", "source": "b"}}',
            {"metadata.source": "must be given once"},
        ),
        (CREATE, {"$where": "1"}, {"$where": None}),
        # masks
        (
            "UpdateUserProfile",
            {"updateMask": ["city"]},
            {"updateMask": "must be a string of field names, separated by commas"},
        ),
        (
            "UpdateUserProfile",
            {"updateMask": {"paths": ["city"]}},
            {"updateMask": "must be a string of field names, separated by commas"},
        ),
        (
            "UpdateUserProfile",
            {"updateMask": "last_name"},
            {"updateMask": "must be field names separated by commas"},
        ),
        (
            "UpdateUserProfile",
            {"updateMask": "city,,income"},
            {"updateMask": "must be field names separated by commas"},
        ),
    ],
)
def test_what_is_wrong_with_a_body_is_named(
    method: str, body: object, wrong: dict[str, str | None]
) -> None:
    _, found = bind(method, body)
    assert found.keys() == wrong.keys()
    for field, message in wrong.items():
        assert message is None or found[field] == message


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"true", b"null", b"[{}]", b"NaN"])
def test_a_body_is_one_object(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as raised:
        bind(CREATE, body)
    (error,) = raised.value.fields
    assert (error.field, error.message) == ("body", "must be one JSON object")


@pytest.mark.parametrize("body", [b"", b"  \r\n\t", b"{}"])
def test_no_body_is_an_empty_one(body: bytes) -> None:
    message, wrong = bind("TriggerSync", body)
    assert wrong == {}
    assert message == METHODS["TriggerSync"].request_class(connector_id=PATH["connector_id"])


def test_null_is_not_sent_and_an_empty_string_is_a_value() -> None:
    message, wrong = bind(
        CREATE, {"city": None, "country": "", "preferences": None, "metadata": {"tags": None}}
    )
    assert wrong == {}
    assert not message.HasField("city")
    assert message.HasField("country")
    assert not message.HasField("preferences")
    assert message.HasField("metadata")


def test_the_path_says_whom_it_is_about() -> None:
    message, _ = bind("UpdateUserStatus", {"status": "inactive"})
    assert message == METHODS["UpdateUserStatus"].request_class(
        user_id=PATH["user_id"], status="inactive"
    )


def test_an_empty_list_takes_the_list_away_where_there_is_a_mask() -> None:
    message, wrong = bind("UpdateUserMetadata", {"tags": []})
    assert wrong == {}
    assert list(message.update_mask.paths) == ["tags"]  # type: ignore[attr-defined]


def test_everything_wrong_is_named_at_once() -> None:
    _, wrong = bind(
        CREATE,
        b'{"userId": 1, "email": null, "income": "1", "income2": 1, "metadata": {"tags": ["a", 2]},'
        b' "preferences": {"notifications": {"sms": 0}}, "city": "a", "city": "b"}',
        "dryRun=1",
    )
    assert wrong.keys() == {
        "userId", "income", "income2", "metadata.tags[1]", "preferences.notifications.sms", "city",
        "dryRun",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "query", "wrong"),
    [
        ("ListUsers", "limit=ten", {"limit": "must be a whole number"}),
        ("ListUsers", "limit=1.0", {"limit": "must be a whole number"}),
        ("ListUsers", "limit=%2B1", {"limit": "must be a whole number"}),
        ("ListUsers", "limit=+1", {"limit": "must be a whole number"}),
        ("ListUsers", "limit=", {"limit": "must be a whole number"}),
        ("ListUsers", "limit", {"limit": "must be a whole number"}),
        ("ListUsers", "limit=%D9%A1", {"limit": "must be a whole number"}),  # an Arabic 1
        ("ListUsers", "limit=99999999999999999999", {"limit": "must be a whole number"}),
        ("ListUsers", "limit=2147483648", {"limit": "must be a whole number of at most 32 bits"}),
        ("ListUsers", "limit=1&limit=1", {"limit": "must be given once"}),
        ("ListUsers", "limit=1&lim%69t=1", {"limit": "must be given once"}),
        ("ListUsers", "city=%FF", {"city": "is not valid UTF-8"}),
        ("ListUsers", "%FF=1", {"%FF": "is not valid UTF-8"}),
        ("ListUsers", "risk_tolerance=low", {"risk_tolerance": None}),
        ("ListUsers", "Limit=1", {"Limit": None}),
        ("ListUsers", "=1", {"": None}),
        ("ListUsers", "city[$gt]=", {"city[$gt]": None}),
        ("ListUsers", "limit=1;page=2", {"limit": "must be a whole number"}),
        ("ListUsers", "http_body=x", {"http_body": None}),
        ("GetUser", "userId=x", {"userId": "is given by the path and must not be sent again"}),
        ("GetUser", "user_id=x", {"user_id": None}),
        ("UpdateUserProfile", "city=x", {"city": "unknown parameter; none are known here"}),
        (
            "UpdateUserProfile",
            "userId=x",
            {"userId": "is given by the path and must not be sent again"},
        ),
        ("CreateUser", "userId=x", {"userId": "unknown parameter; none are known here"}),
    ],
)
def test_what_is_wrong_with_a_query_is_named(
    method: str, query: str, wrong: dict[str, str | None]
) -> None:
    message, found = bind(method, query=query)
    assert found.keys() == wrong.keys()
    for field, text in wrong.items():
        assert text is None or found[field] == text
    assert message == METHODS[method].request_class(
        **{name: PATH[name] for name in METHODS[method].path_fields}
    )


def test_a_list_in_a_query_is_repeated_or_separated_by_commas() -> None:
    for query in ("userIds=a,b&userIds=c", "userIds=a&userIds=b&userIds=c", "userIds=a%2Cb,c"):
        message, wrong = bind("BatchGetUsers", query=query)
        assert wrong == {}
        assert list(message.user_ids) == ["a", "b", "c"]  # type: ignore[attr-defined]


def test_a_query_is_percent_decoded() -> None:
    message, wrong = bind("ListUsers", query="c%69ty=New+Delhi%2C+%E0%A4%A6%2B&limit=%31%30&")
    assert wrong == {}
    assert message == METHODS["ListUsers"].request_class(city="New Delhi, द+", limit=10)


# --- what no call takes -----------------------------------------------------------------------


@with_query
@pytest.mark.parametrize("body", [b"{}", b'{"limit": 1}', b"limit=1", b"{", b"\xff"])
def test_a_body_is_refused_where_none_is_taken(method: Method, body: bytes) -> None:
    _, wrong = bind(method, body)
    assert wrong.keys() == {"body"}
    assert wrong["body"].startswith("must be left out")
    assert all(name in wrong["body"] for name in method.query_fields)
    message, wrong = bind(method, b" \n")
    assert wrong == {}
    assert message == method.request_class(**{name: PATH[name] for name in method.path_fields})


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "identity, gzip", "nonsense"])
@pytest.mark.parametrize("body", [b"{}", b"\x1f\x8b\x08"])
def test_a_compressed_body_is_refused_by_its_header(coding: str, body: bytes) -> None:
    method = METHODS["CreateUser"]
    with pytest.raises(InvalidRequest) as raised:
        HttpBinding(method).bind(arrived(method, body), "", "application/json", coding)
    (wrong,) = raised.value.fields
    assert wrong.field == "Content-Encoding"


@pytest.mark.parametrize("coding", ["", "identity", "Identity"])
def test_a_body_may_be_named_as_not_compressed(coding: str) -> None:
    method = METHODS["CreateUser"]
    message = arrived(method, b'{"userId": "user_1"}')
    assert HttpBinding(method).bind(message, "", "application/json", coding) == []
    assert message == method.request_class(user_id="user_1")
