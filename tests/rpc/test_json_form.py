"""The JSON that REST clients get, against protobuf's own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from finlink.users.v1 import user_pb2
from finlink.users.v1.user_service_pb2 import GetUserResponse
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format, message_factory, timestamp_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from server.rpc.json_form import http_body, json_writer
from tests.contract.descriptors import methods

ANSWERS = {
    method.descriptor.output_type.full_name: method.descriptor.output_type
    for method in methods()
    if not method.returns_raw_body
}
_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: st.text(max_size=8),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(10**6), 10**6).map(float),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
}


@st.composite
def filled(draw: st.DrawFn, descriptor: Descriptor) -> Message:
    message = message_factory.GetMessageClass(descriptor)()
    if isinstance(message, timestamp_pb2.Timestamp):
        message.FromNanoseconds(draw(st.integers(0, 4 * 10**18)))
        return message
    for field in descriptor.fields:
        if not draw(st.booleans()):
            continue
        nested = field.message_type
        value = filled(nested) if nested is not None else _SCALARS.get(field.type)
        if value is None:
            assert field.enum_type is not None, f"no values for {field.full_name}"
            value = st.sampled_from([each.number for each in field.enum_type.values])
        if nested is not None and nested.GetOptions().map_entry:
            entry = getattr(message, field.name)
            for each in draw(st.lists(filled(nested), max_size=2)):
                if nested.fields_by_name["value"].message_type is not None:
                    entry[each.key].CopyFrom(each.value)  # type: ignore[attr-defined]
                else:
                    entry[each.key] = each.value  # type: ignore[attr-defined]
        elif field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(value, max_size=2)))
        elif nested is not None:
            getattr(message, field.name).CopyFrom(draw(value))
        else:
            setattr(message, field.name, draw(value))
    return message


@given(data=st.data(), name=st.sampled_from(sorted(ANSWERS)))
def test_it_says_what_protobuf_says(data: st.DataObject, name: str) -> None:
    message = data.draw(filled(ANSWERS[name]))
    text = json_writer(ANSWERS[name])(message)
    expected = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    assert json.loads(text) == expected
    assert json_format.Parse(text, type(message)()) == message


@pytest.mark.parametrize(
    ("income", "text"),
    [(500000.0, "500000"), (-3.0, "-3"), (0.5, "0.5"), (20.0, "20"), (1.05, "1.05"), (0.0, "0")],
)
def test_whole_numbers_have_no_fraction(income: float, text: str) -> None:
    profile = user_pb2.Profile(income=income, city='x":7.0,"y":7.0}')
    message = GetUserResponse(data=user_pb2.User(profile=profile))
    written = json_writer(GetUserResponse.DESCRIPTOR)(message)
    assert f'"income":{text}' in written
    assert json.loads(written)["data"]["profile"]["city"] == profile.city


def test_envoy_gets_it_with_its_type() -> None:
    body = HttpBody.FromString(http_body("application/json", '{"é":1}'))
    assert (body.content_type, body.data.decode()) == ("application/json", '{"é":1}')
