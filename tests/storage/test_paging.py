"""Page tokens: opaque, bound to their filters, and never a way to anything but a 400."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from bson import ObjectId
from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.core.errors import InvalidRequest
from server.storage import paging
from server.storage.paging import Position

FILTERS = {"status": "active", "city": None}
AT = datetime(2024, 1, 15, 10, 30, 0, 123000, UTC)
unhurried = settings(deadline=None, database=None)


def reported(caught: pytest.ExceptionInfo[InvalidRequest]) -> tuple[str, list[str]]:
    return caught.value.code, [field.field for field in caught.value.fields]


def token_of(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@unhurried
@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.binary(min_size=12, max_size=12),
    st.integers(1, 2**31 - 1),
    st.dictionaries(st.text(), st.none() | st.text()),
)
def test_round_trip(at: datetime, raw: bytes, page: int, filters: dict[str, str | None]) -> None:
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)  # as MongoDB keeps times
    position = Position(at, str(ObjectId(raw)), page)
    token = paging.encode(position, filters)
    assert paging.decode(token, filters) == position
    assert position.object_id == ObjectId(raw)
    assert token.isascii()
    assert "=" not in token


@pytest.mark.parametrize("filters", [{}, {"status": "inactive", "city": None}, {"status": None}])
def test_a_token_of_other_filters_is_refused(filters: dict[str, str | None]) -> None:
    token = paging.encode(Position(AT, str(ObjectId())), FILTERS)
    with pytest.raises(InvalidRequest) as caught:
        paging.decode(token, filters)
    assert reported(caught) == ("VALIDATION_ERROR", ["pageToken"])
    assert "filters" in caught.value.fields[0].message


@unhurried
@given(st.text(max_size=600))
@example("")
@example("a")
@example("=")
@example("null")
@example("\x00")
@example("\ud800")
@example("é")
@example("W10")  # []
@example("bnVsbA")  # null
@example("eyJhIjogMX0")  # {"a": 1}
@example("W" * 599)
def test_no_text_does_anything_but_be_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        paging.decode(text, FILTERS)
    assert reported(caught) == ("VALIDATION_ERROR", ["pageToken"])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@unhurried
@given(json_values | st.lists(json_values, min_size=4, max_size=4))
@example([float("nan"), "0" * 24, 1, ""])
@example([float("inf"), "0" * 24, 1, ""])
@example([10**400, "0" * 24, 1, ""])
@example([10**18, "0" * 24, 1, ""])
@example([0, "0" * 24, 0, ""])
@example([0, "0" * 24, 2**31, ""])
@example([0, "0" * 24, "1", ""])
@example([0, 5, 1, ""])
@example(["0", "0" * 24, 1, ""])
def test_no_content_does_anything_but_be_refused(content: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        paging.decode(token_of(content), FILTERS)
    assert reported(caught) == ("VALIDATION_ERROR", ["pageToken"])


def test_content_nested_without_end_is_refused() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    with pytest.raises(InvalidRequest) as caught:
        paging.decode(deep, FILTERS)
    assert reported(caught) == ("VALIDATION_ERROR", ["pageToken"])


@unhurried
@given(st.data())
def test_a_changed_token_leads_nowhere_or_to_a_position(data: st.DataObject) -> None:
    """Tokens are not signed: they hold nothing a caller may not know. But no change breaks anything."""
    token = paging.encode(Position(AT, str(ObjectId())), FILTERS)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABCZabcz019-_ =."))
    refused: InvalidRequest | None = None
    try:
        position = paging.decode(token[:place] + letter + token[place + 1 :], FILTERS)
        _ = position.object_id
    except InvalidRequest as error:
        refused = error
    assert refused is None or [field.field for field in refused.fields] == ["pageToken"]


@pytest.mark.parametrize("identifier", ["", "not an id", "0" * 23, "0" * 25, "g" * 24, "a" * 12])
def test_an_id_that_is_not_mongodb_s(identifier: str) -> None:
    position = paging.decode(paging.encode(Position(AT, identifier), FILTERS), FILTERS)
    with pytest.raises(InvalidRequest) as caught:
        _ = position.object_id
    assert reported(caught) == ("VALIDATION_ERROR", ["pageToken"])
