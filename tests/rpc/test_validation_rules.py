"""The contract's rules as they are applied: what keeps them passes, what breaks one is named."""

from __future__ import annotations

from typing import Any

import pytest
from finlink.connectors.v1 import connector_reads_pb2
from finlink.users.v1 import user_creation_pb2, user_pb2, user_updates_pb2
from finlink.users.v1 import user_service_pb2 as users
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from openapi.rules import is_required
from server.rpc.json_values import camel
from server.rpc.method import Method
from server.rpc.validation import Validation
from tests.rpc.samples import METHODS, build, choices, valid, wrong_values

every_rpc = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
CHECKERS = {name: Validation(method.request) for name, method in METHODS.items()}


def problems(message: Message) -> dict[str, str]:
    (checker,) = (
        CHECKERS[name]
        for name, method in METHODS.items()
        if isinstance(message, method.request_class)
    )
    found = checker.check(message)
    named = {error.field: error.message for error in found}
    assert len(named) == len(found), "each field is named once"
    return named


@every_rpc
@settings(max_examples=25)
@given(data=st.data())
def test_what_keeps_the_rules_passes(method: Method, data: st.DataObject) -> None:
    message = build(method, data.draw(valid(method)))
    assert CHECKERS[method.descriptor.name].check(message) == []


@every_rpc
@settings(max_examples=40)
@given(data=st.data())
def test_each_broken_rule_is_named_and_nothing_else(method: Method, data: st.DataObject) -> None:
    content = data.draw(valid(method))
    breakable = [field for field in method.request.fields if not wrong_values(field).is_empty]
    if not breakable:
        pytest.skip("nothing in this request can be wrong")
    chosen = data.draw(
        st.lists(st.sampled_from(breakable), min_size=1, unique_by=lambda field: field.name)
    )
    names = {field.name for field in chosen}
    for choice in choices(method.request):
        if names.intersection(choice):  # the one that was right is not sent beside it
            content = {name: value for name, value in content.items() if name not in choice}
    expected = set()
    for field in chosen:
        value, place = data.draw(wrong_values(field))
        content[field.name] = value
        expected.add(field.json_name + place)
    found = CHECKERS[method.descriptor.name].check(build(method, content))
    assert {error.field for error in found} == expected
    assert all(error.message and "^[" not in error.message for error in found)


@every_rpc
def test_what_is_needed_is_named_where_it_is_missing(method: Method) -> None:
    """As the OpenAPI document says it, which reads the rules by itself."""
    found = {error.field for error in CHECKERS[method.descriptor.name].check(build(method, {}))}
    needed = {field.json_name for field in method.request.fields if is_required(field)}
    assert found == needed | {camel(choice[0]) for choice in choices(method.request)}


WORDED: list[tuple[Message, dict[str, str]]] = [
    (
        user_creation_pb2.CreateUserRequest(email="a@example.com"),
        {"userId": "is required: send one of userId and username"},
    ),
    (
        user_creation_pb2.CreateUserRequest(email="a@example.com", user_id="a", username="b"),
        dict.fromkeys(("userId", "username"), "send only one of userId and username"),
    ),
    (
        users.GetUserRequest(user_id="user 1"),
        {"userId": "must be 1 to 64 letters, digits or underscores"},
    ),
    (
        connector_reads_pb2.GetConnectorRequest(connector_id="1"),
        {"connectorId": "must be 24 hexadecimal digits"},
    ),
    (
        user_updates_pb2.UpdateUserEmailVerifiedRequest(user_id="u"),
        {"emailVerified": "is required"},
    ),
    (
        user_updates_pb2.UpdateUserStatusRequest(user_id="u", status="gone"),
        {"status": "must be one of active, inactive, suspended"},
    ),
    (
        user_updates_pb2.UpdateUserMetadataRequest(user_id="u", tags=["a", "a"]),
        {"tags": "must not have the same item twice"},
    ),
    (
        user_updates_pb2.UpdateUserMetadataRequest(user_id="u", tags=["a", ""]),
        {"tags[1]": "must not be empty"},
    ),
    (
        user_updates_pb2.UpdateUserProfileRequest(user_id="u", city="Pune\x00"),
        {"city": "must not contain control characters"},
    ),
    (
        user_updates_pb2.UpdateUserProfileRequest(
            user_id="u", update_mask=FieldMask(paths=["last_nam"])
        ),
        {"updateMask": "names lastNam, which is no field"},
    ),
    (
        user_creation_pb2.CreateUserRequest(
            user_id="u",
            email="A@Example.com",
            metadata=user_pb2.UserMetadata(tags=["ok", "\x7f"]),
            preferences=user_pb2.Preferences(currency="rupee"),
        ),
        {
            "metadata.tags[1]": "must not contain control characters",
            "preferences.currency": "must be an ISO 4217 currency code, as INR",
        },
    ),
]


@pytest.mark.parametrize(
    ("message", "expected"), WORDED, ids=[str(index) for index in range(len(WORDED))]
)
def test_errors_say_what_would_be_right(message: Message, expected: dict[str, str]) -> None:
    assert problems(message) == expected


@pytest.mark.parametrize(
    "email", ["user@example.com", "USER@EXAMPLE.COM", "a.b+c@mail.example.co.in"]
)
def test_emails(email: str) -> None:
    assert problems(user_creation_pb2.CreateUserRequest(user_id="u", email=email)) == {}


@pytest.mark.parametrize(
    "email",
    ["", "user", "user@", "@example.com", "user@localhost", "a@b@c.com", "a b@example.com",
     "user@example.com ", "<user@example.com>", "a@b..com", "a@.com", "a@-b.com", "user@exa_mple.com",
     "a" * 250 + "@b.in"],
)  # fmt: skip
def test_no_emails(email: str) -> None:
    assert list(problems(user_creation_pb2.CreateUserRequest(user_id="u", email=email))) == [
        "email"
    ]


@pytest.mark.parametrize("path", ["notifications", "notifications.sms", "currency"])
def test_a_mask_may_lead_into_a_message(path: str) -> None:
    mask = FieldMask(paths=[path])
    request = user_updates_pb2.UpdateUserPreferencesRequest(user_id="u", update_mask=mask)
    assert problems(request) == {}


@pytest.mark.parametrize("json_names", [True, False])
def test_a_mask_that_is_wrong_is_explained_in_the_caller_s_names(json_names: bool) -> None:
    """JSON's over REST, those of protobuf over gRPC."""
    check = CHECKERS["UpdateUserProfile"].check
    names = ["phoneNumber", "riskTolerance"] if json_names else ["phone_number", "risk_tolerance"]
    other = ["phone_number", "risk_tolerance"] if json_names else ["phoneNumber", "riskTolerance"]
    for path, expected in {"user_id": names, "phone_numbers": [f"{names[0]}s"]}.items():
        mask = FieldMask(paths=[path])
        request = user_updates_pb2.UpdateUserProfileRequest(user_id="u", update_mask=mask)
        (wrong,) = check(request, json_names=json_names)
        assert wrong.field == "updateMask"
        assert all(name in wrong.message for name in expected)
        assert not any(name in wrong.message for name in other)


@pytest.mark.parametrize(
    "path", ["notifications.fax", "currency.x", "notifications.", ".", "a" * 99]
)
def test_a_mask_may_not_lead_nowhere(path: str) -> None:
    mask = FieldMask(paths=[path])
    request = user_updates_pb2.UpdateUserPreferencesRequest(user_id="u", update_mask=mask)
    assert list(problems(request)) == ["updateMask"]


@given(content=st.dictionaries(st.sampled_from(["city", "country", "first_name"]), st.text()))
def test_any_text_is_checked_without_a_fault(content: dict[str, Any]) -> None:
    plain = {name: text.encode("utf-8", "ignore").decode() for name, text in content.items()}
    message = user_updates_pb2.UpdateUserProfileRequest(user_id="u", **plain)
    wrong = problems(message)
    for name, text in plain.items():
        json_name = {"first_name": "firstName"}.get(name, name)
        control = any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in text)
        assert (json_name in wrong) == (control or len(text) > 100)
