"""Documents as models and back, also documents that another tool wrote."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from bson import ObjectId
from bson.int64 import Int64

from server.core.model import Id, Model, document_name
from server.storage.mapping import Mapped, UnreadableDocument

AT = datetime(2024, 1, 31, 10, 30, tzinfo=UTC)


class Limit(Model, frozen=True):
    amount: float = 100.0
    last_raised: date | None = None


class Member(Model, frozen=True):
    user_id: str
    joined: date
    invited_by: Id | None = None


class Book(Model, frozen=True):
    id: Id
    owner_name: str
    created_at: datetime
    updated_at: datetime
    opened: date | None = None
    parent: Id | None = None
    readers: tuple[Id, ...] = ()
    limit: Limit = Limit()
    members: tuple[Member, ...] = ()
    due: dict[str, date] = msgspec.field(default_factory=dict)
    limits: dict[str, Limit] = msgspec.field(default_factory=dict)
    sealed: bytes = b""
    pages: int = 0
    closed: bool = False


ID, PARENT, READER = ObjectId(), ObjectId(), ObjectId()
FULL = Book(
    id=str(ID),
    owner_name="Asha",
    created_at=AT,
    updated_at=AT,
    opened=date(2024, 1, 1),
    parent=str(PARENT),
    readers=(str(READER),),
    limit=Limit(5.5, date(2023, 12, 31)),
    members=(Member("a", date(2024, 2, 29), str(READER)), Member("b", date(1999, 1, 1))),
    due={"a": date(2024, 5, 6)},
    limits={"b": Limit(1.5, date(2022, 1, 1))},
    sealed=b"\x00\xff",
    pages=7,
    closed=True,
)
DOCUMENT = {
    "_id": ID,
    "ownerName": "Asha",
    "createdAt": AT,
    "updatedAt": AT,
    "opened": datetime(2024, 1, 1, tzinfo=UTC),
    "parent": PARENT,
    "readers": [READER],
    "limit": {"amount": 5.5, "lastRaised": datetime(2023, 12, 31, tzinfo=UTC)},
    "members": [
        {"userId": "a", "joined": datetime(2024, 2, 29, tzinfo=UTC), "invitedBy": READER},
        {"userId": "b", "joined": datetime(1999, 1, 1, tzinfo=UTC)},
    ],
    "due": {"a": datetime(2024, 5, 6, tzinfo=UTC)},
    "limits": {"b": {"amount": 1.5, "lastRaised": datetime(2022, 1, 1, tzinfo=UTC)}},
    "sealed": b"\x00\xff",
    "pages": 7,
    "closed": True,
}
BARE = Book(str(ID), "Asha", AT, AT)
BOOKS = Mapped(Book)


def needed(**fields: Any) -> dict[str, Any]:
    return {"_id": ID, "ownerName": "Asha", "createdAt": AT, "updatedAt": AT, **fields}


def test_names_go_by_one_rule() -> None:
    names = {"id": "_id", "city": "city", "date_of_birth": "dateOfBirth", "user_id": "userId"}
    assert {name: document_name(name) for name in names} == names


def test_a_model_is_written_and_read_again() -> None:
    assert BOOKS.write(FULL) == DOCUMENT
    assert BOOKS.read(BOOKS.write(FULL)) == FULL


def test_what_is_none_is_not_written_and_defaults_are() -> None:
    assert BOOKS.write(BARE) == needed(
        readers=[],
        limit={"amount": 100.0},
        members=[],
        due={},
        limits={},
        sealed=b"",
        pages=0,
        closed=False,
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"limit": {}}, {}, id="an empty section"),
        pytest.param({"limit": None, "members": None, "pages": None}, {}, id="nulls"),
        pytest.param({"limit": {"amount": None}}, {}, id="a null in a section"),
        pytest.param({"__v": 0, "limit": {"colour": "red"}}, {}, id="fields of its own"),
        pytest.param({"limit": {"amount": 7}}, {"limit": Limit(7.0)}, id="a whole number"),
        pytest.param({"limit": {"amount": Int64(7)}}, {"limit": Limit(7.0)}, id="a long number"),
        pytest.param({"pages": Int64(7)}, {"pages": 7}, id="a long"),
        pytest.param({"pages": 7.0}, {"pages": 7}, id="a double without a fraction"),
        pytest.param({"opened": AT}, {"opened": date(2024, 1, 31)}, id="a time for a date"),
        pytest.param({"opened": "2024-01-31"}, {"opened": date(2024, 1, 31)}, id="a text for it"),
        pytest.param({"opened": "soon"}, {}, id="no date at all"),
        pytest.param({"closed": "perhaps", "pages": 3}, {"pages": 3}, id="no boolean"),
        pytest.param({"limit": [1, 2]}, {}, id="no section"),
        pytest.param(
            {"limit": {"amount": [], "lastRaised": AT}},
            {"limit": Limit(100.0, date(2024, 1, 31))},
            id="something else in a section",
        ),
        pytest.param({"members": [{"userId": 5}]}, {}, id="items that are none"),
        pytest.param({"parent": "a text"}, {"parent": "a text"}, id="an id that is a text"),
    ],
)  # fmt: skip
def test_what_another_tool_wrote_is_read(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    values = {name: getattr(BARE, name) for name in Book.__struct_fields__}
    assert BOOKS.read(needed(**fields)) == Book(**{**values, **expected})


@pytest.mark.parametrize("missing", [{}, {"createdAt": None, "updatedAt": None}])
def test_without_a_time_it_was_made_when_its_id_was(missing: dict[str, Any]) -> None:
    book = BOOKS.read({"_id": ID, "ownerName": "Asha", **missing})
    assert book.created_at == book.updated_at == ID.generation_time


def test_what_was_never_changed_was_changed_when_it_was_made() -> None:
    book = BOOKS.read({"_id": ID, "ownerName": "Asha", "createdAt": AT})
    assert book.updated_at == AT


@pytest.mark.parametrize(
    "document",
    [{"_id": ID, "createdAt": AT}, needed(ownerName=None), needed(ownerName=5), needed(_id=7)],
)
def test_without_what_is_needed_it_cannot_be_read(document: dict[str, Any]) -> None:
    with pytest.raises(UnreadableDocument) as raised:
        BOOKS.read(document)
    assert "Asha" not in str(raised.value)


def test_values_are_stored_by_the_place_they_are_for() -> None:
    assert BOOKS.values(
        {
            "_id": str(ID),
            "parent": {"$in": [str(PARENT), None]},
            "readers": (str(READER),),
            "members.invitedBy": str(READER),
            "limit": Limit(1.0, date(2024, 1, 1)),
            "limit.lastRaised": date(2024, 1, 1),
            "ownerName": str(ID),
            "unknown.place": (1, 2),
            "opened": None,
        }
    ) == {
        "_id": ID,
        "parent": {"$in": [PARENT, None]},
        "readers": [READER],
        "members.invitedBy": READER,
        "limit": {"amount": 1.0, "lastRaised": datetime(2024, 1, 1, tzinfo=UTC)},
        "limit.lastRaised": datetime(2024, 1, 1, tzinfo=UTC),
        "ownerName": str(ID),
        "unknown.place": [1, 2],
        "opened": None,
    }
