from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.rpc.strict_json import JsonObject, MalformedJson, NotANumber, parse

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=VALUES, ascii_only=st.booleans())
def test_json_is_read_as_it_is(value: Any, ascii_only: bool) -> None:
    try:
        body = json.dumps(value, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:  # a lone surrogate cannot be sent unless escaped
        return
    assert parse(body) == value


@given(body=st.binary(max_size=60))
def test_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        expected = json.loads(body.decode())
    except ValueError:
        with pytest.raises(MalformedJson):
            parse(body)
    else:
        if not any(word in body for word in (b"NaN", b"Infinity")):
            assert parse(body) == expected


@given(value=st.dictionaries(st.text(), VALUES, min_size=1, max_size=3), cut=st.integers(1, 200))
def test_a_body_that_was_cut_off_is_refused(value: Any, cut: int) -> None:
    body = json.dumps(value).encode()
    with pytest.raises(MalformedJson):
        parse(body[: max(0, len(body) - cut)])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "is not valid JSON: expecting value at line 1, column 1"),
        (b'{"a": ', "is not valid JSON: expecting value at line 1, column 7"),
        (b'{"a": 1,}', "is not valid JSON"),
        (b"{'a': 1}", "is not valid JSON"),
        (b"{a: 1}", "is not valid JSON"),
        (b'{"a": 1} {}', "is not valid JSON: extra data at line 1, column 10"),
        (b'{"a": 01}', "is not valid JSON"),
        (b'{"a": +1}', "is not valid JSON"),
        (b'{"a": .5}', "is not valid JSON"),
        (b'{"a": 0x10}', "is not valid JSON"),
        (b'{"a": True}', "is not valid JSON"),
        (b'{"a": "\t"}', "is not valid JSON: invalid control character"),
        (b'{"a": "\x00"}', "is not valid JSON: invalid control character"),
        (b'{"a": "\\x"}', "is not valid JSON"),
        (b'{"a": "\\ud8"}', "is not valid JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "is not valid JSON"),
        (b'{"a": 1} // no', "is not valid JSON"),
        (b'{"a": "\xff"}', "is not valid UTF-8 at byte 7"),
        (b'{"a": "\xed\xa0\x80"}', "is not valid UTF-8 at byte 7"),
        (b'{"a": "\xc0\x80"}', "is not valid UTF-8 at byte 7"),
        (b"[" * 60_000, "is nested too deeply"),
        (b'{"a":' * 12_000, "is nested too deeply"),
        (b"[" * 30_000 + b"]" * 30_000, "is nested too deeply"),
        (b'{"a": ' + b"9" * 60_000 + b"}", "has a number of too many digits"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(body: bytes, message: str) -> None:
    with pytest.raises(MalformedJson) as raised:
        parse(body)
    assert str(raised.value).startswith(message)


def test_repeated_keys_are_remembered_where_they_are() -> None:
    value = parse(b'{"a": 1, "b": {"c": 1, "c": 2, "c": 3}, "a": 2, "d": [{"e": 1, "e": 1}]}')
    assert isinstance(value, JsonObject)
    assert value.repeated == {"a"}
    assert value["b"].repeated == {"c"}
    assert value["d"][0].repeated == {"e"}


def test_a_key_is_repeated_however_it_is_spelled() -> None:
    assert parse(rb'{"city": 1, "c\u0069ty": 2}').repeated == {"city"}


@given(keys=st.lists(st.text(max_size=3), max_size=8))
def test_exactly_the_repeated_keys_are_remembered(keys: list[str]) -> None:
    body = "{" + ",".join(f"{json.dumps(key)}: 1" for key in keys) + "}"
    assert parse(body.encode()).repeated == {key for key in keys if keys.count(key) > 1}


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_is_no_number_is_marked(text: bytes) -> None:
    value = parse(b'{"a": [' + text + b'], "b": ' + text + b"}")
    assert isinstance(value["a"][0], NotANumber)
    assert isinstance(value["b"], NotANumber)
