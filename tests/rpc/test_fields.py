"""Models as messages and back, by the names of their fields."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from finlink.audit.v1 import audit_service_pb2 as audit
from finlink.exports.v1.export_service_pb2 import ExportCompleted
from finlink.users.v1 import user_creation_pb2, user_lists_pb2, user_updates_pb2
from finlink.users.v1 import user_pb2 as pb
from google.protobuf import descriptor_pool, field_mask_pb2, message_factory
from google.protobuf.descriptor_pb2 import (
    FieldDescriptorProto,
    FileDescriptorProto,
    MessageOptions,
)
from google.protobuf.field_mask_pb2 import FieldMask

from server.core.errors import InvalidRequest
from server.core.model import Id, Model, document_name
from server.rpc.fields import from_document, to_changes, to_message, to_model, to_replacement
from server.rpc.times import timestamp

AT = datetime(2024, 1, 31, 10, 30, 0, 123000, UTC)


class Channels(Model, frozen=True):
    email: bool = True
    sms: bool = False
    push: bool = True


class Wishes(Model, frozen=True):
    currency: str = "INR"
    language: str | None = None
    notifications: Channels = Channels()


class About(Model, frozen=True):
    first_name: str | None = None
    date_of_birth: date | None = None
    income: float | None = None
    shoe_size: int = 42  # of which the messages know nothing


class Origin(Model, frozen=True):
    source: str | None = None
    tags: tuple[str, ...] = ()


class Person(Model, frozen=True):
    id: Id
    user_id: str
    created_at: datetime
    profile: About = About()
    preferences: Wishes = Wishes()
    metadata: Origin | None = None
    updated_at: datetime | None = None


class People(Model, frozen=True):
    users: tuple[Person, ...] = ()
    missing_user_ids: tuple[str, ...] = ()


FULL = Person(
    id="0" * 24,
    user_id="asha",
    created_at=AT,
    profile=About("Asha", date(1990, 1, 2), 12.5),
    preferences=Wishes("USD", "hi", Channels(False, True, False)),
    metadata=Origin("web", ("a", "b")),
    updated_at=AT,
)
MESSAGE = pb.User(
    id="0" * 24,
    user_id="asha",
    created_at=timestamp(AT),
    updated_at=timestamp(AT),
    profile=pb.Profile(first_name="Asha", date_of_birth="1990-01-02", income=12.5),
    preferences=pb.Preferences(
        currency="USD",
        language="hi",
        notifications=pb.Notifications(email=False, sms=True, push=False),
    ),
    metadata=pb.UserMetadata(source="web", tags=["a", "b"]),
)
BARE = Person("1" * 24, "bare", AT)


def test_a_model_is_a_message_and_again_a_model() -> None:
    assert to_message(pb.User, FULL) == MESSAGE
    assert to_model(Person, MESSAGE) == FULL


def test_what_is_none_is_absent() -> None:
    message = to_message(pb.User, BARE)
    assert not message.HasField("metadata")
    assert not message.HasField("updated_at")
    assert not message.profile.HasField("first_name")
    assert message.preferences.notifications.HasField("sms")  # though it is the default
    assert to_model(Person, message) == BARE


def test_items_of_a_list_are_converted_too() -> None:
    people = People((FULL, BARE), ("nobody",))
    message = to_message(user_lists_pb2.BatchGetUsersData, people)
    assert list(message.users) == [to_message(pb.User, each) for each in people.users]
    assert list(message.missing_user_ids) == ["nobody"]
    assert to_model(People, message) == people


def test_what_was_not_sent_has_its_default() -> None:
    assert to_model(Wishes, pb.Preferences()) == Wishes()
    sent = pb.Preferences(currency="", notifications=pb.Notifications(push=False))
    assert to_model(Wishes, sent) == Wishes("", None, Channels(push=False))
    assert to_model(Origin, pb.UserMetadata()) == Origin()


def test_one_message_may_be_of_several_models() -> None:
    request = user_creation_pb2.CreateUserRequest(
        user_id="asha",
        first_name="Asha",
        date_of_birth="1990-01-02",
        metadata=pb.UserMetadata(tags=["a"]),
    )
    person = to_model(Person, request, id="x", created_at=AT, profile=to_model(About, request))
    assert person == Person(
        "x", "asha", AT, About("Asha", date(1990, 1, 2)), Wishes(), Origin(tags=("a",))
    )


def test_what_is_given_comes_before_what_is_there() -> None:
    assert to_model(Origin, pb.UserMetadata(source="WEB"), source="web") == Origin("web")
    message = to_message(user_lists_pb2.UserPagination, object(), total_users=3)
    assert message == user_lists_pb2.UserPagination(total_users=3)


def test_any_object_can_be_a_message() -> None:
    @dataclass(frozen=True)
    class Walk:
        current_page: int
        items: tuple[str, ...] = ()

        @property
        def has_next(self) -> bool:
            return True

    walk = to_message(user_lists_pb2.UserPagination, Walk(2))
    assert walk == user_lists_pb2.UserPagination(current_page=2, has_next=True)


def update(
    mask: tuple[str, ...] = (), **fields: object
) -> user_updates_pb2.UpdateUserPreferencesRequest:
    message = user_updates_pb2.UpdateUserPreferencesRequest(user_id="asha", **fields)  # type: ignore[arg-type]
    message.update_mask.CopyFrom(FieldMask(paths=mask))
    return message


@pytest.mark.parametrize(
    ("request_", "changes"),
    [
        pytest.param(
            update(currency="USD", notifications={"sms": True}),
            {"w.currency": "USD", "w.notifications.sms": True},
            id="what is sent",
        ),
        pytest.param(
            update(("currency", "language")), {"w.currency": "INR", "w.language": None},
            id="what is named goes back to its default",
        ),
        pytest.param(
            update(("notifications",)),
            {f"w.notifications.{name}": getattr(Channels(), name) for name in Channels.__struct_fields__},
            id="a whole section is named",
        ),
        pytest.param(
            update(("notifications.sms",)), {"w.notifications.sms": False},
            id="a field of a section is named",
        ),
        pytest.param(
            update(("notifications", "currency"), currency="EUR", notifications={"sms": True}),
            {
                "w.currency": "EUR", "w.notifications.email": True,
                "w.notifications.sms": True, "w.notifications.push": True,
            },
            id="what is sent counts, named or not",
        ),
    ],
)  # fmt: skip
def test_an_update_is_changes_by_path(
    request_: user_updates_pb2.UpdateUserPreferencesRequest, changes: dict[str, object]
) -> None:
    assert to_changes(Wishes, request_, "w") == changes


def test_an_update_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"at least one field, or name one in updateMask$"):
        to_changes(Wishes, update(), "w")
    with pytest.raises(InvalidRequest, match=r"at least one field$"):
        to_changes(Wishes, user_creation_pb2.CreateUserRequest(user_id="unknown to the model"))


def test_a_date_and_a_list_are_changed_as_the_model_has_them() -> None:
    about = user_updates_pb2.UpdateUserProfileRequest(
        date_of_birth="1990-01-02", city="unknown to the model"
    )
    assert to_changes(About, about, "about") == {"about.dateOfBirth": date(1990, 1, 2)}
    origin = user_updates_pb2.UpdateUserMetadataRequest(tags=["b", "a"])
    assert to_changes(Origin, origin, "origin") == {"origin.tags": ("b", "a")}
    none = user_updates_pb2.UpdateUserMetadataRequest(
        update_mask=FieldMask(paths=["tags", "source"])
    )
    assert to_changes(Origin, none, "origin") == {"origin.tags": None, "origin.source": None}


def test_a_document_may_be_changed_at_its_top_and_without_a_mask() -> None:
    person = user_creation_pb2.CreateUserRequest(
        user_id="asha", metadata=pb.UserMetadata(source="web")
    )
    assert to_changes(Person, person) == {"userId": "asha", "metadata.source": "web"}


def test_a_replacement_leaves_nothing_of_before() -> None:
    sent = pb.Preferences(currency="EUR", notifications=pb.Notifications(sms=True))
    assert to_replacement(sent, (Wishes, "w")) == {
        "w.currency": "EUR",
        "w.language": None,
        "w.notifications.email": True,
        "w.notifications.sms": True,
        "w.notifications.push": True,
    }


def _book_update() -> Any:
    """The class of an update with fields that no update of the contract has had yet."""
    file = FileDescriptorProto(name="tests/books.proto", package="tests", syntax="proto3")
    file.dependency.extend([pb.DESCRIPTOR.name, field_mask_pb2.DESCRIPTOR.name])
    message = file.message_type.add(name="BookUpdate")
    one, many = FieldDescriptorProto.LABEL_OPTIONAL, FieldDescriptorProto.LABEL_REPEATED
    for number, (name, label, kind) in enumerate(
        [
            ("user_id", one, None),
            ("users", many, ".finlink.users.v1.User"),
            ("metadata", one, ".finlink.users.v1.UserMetadata"),
            ("by_city", many, ".tests.BookUpdate.ByCityEntry"),
            ("update_mask", one, ".google.protobuf.FieldMask"),
        ],
        start=1,
    ):
        message.field.add(
            name=name, number=number, label=label, type_name=kind,
            type=FieldDescriptorProto.TYPE_MESSAGE if kind else FieldDescriptorProto.TYPE_STRING,
        )  # fmt: skip
    entry = message.nested_type.add(name="ByCityEntry", options=MessageOptions(map_entry=True))
    entry.field.add(name="key", number=1, label=one, type=FieldDescriptorProto.TYPE_STRING)
    entry.field.add(
        name="value", number=2, label=one, type=FieldDescriptorProto.TYPE_MESSAGE,
        type_name=".finlink.users.v1.Profile",
    )  # fmt: skip
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tests.BookUpdate"))


BookUpdate = _book_update()


class Owned(Model, frozen=True):
    source: str
    tags: tuple[str, ...] = ()


class Book(Model, frozen=True):
    user_id: str
    users: tuple[Person, ...] = ()
    by_city: dict[str, About] = msgspec.field(default_factory=dict)
    metadata: Owned | None = None


def masked(*paths: str, **fields: object) -> Any:
    return BookUpdate(update_mask=FieldMask(paths=paths), **fields)


@pytest.mark.parametrize("name", ["users", "by_city"])
def test_a_list_or_map_of_sections_that_is_named_goes_as_a_whole(name: str) -> None:
    sent = {"users": [MESSAGE], "by_city": {"Pune": MESSAGE.profile}}[name]
    made = {"users": (FULL,), "by_city": {"Pune": FULL.profile}}[name]
    stored = document_name(name)
    assert to_changes(Book, masked(name)) == {stored: None}
    assert to_changes(Book, masked(name, **{name: sent})) == {stored: made}


def test_a_section_that_may_be_missing_goes_as_a_whole() -> None:
    assert to_changes(Book, masked("metadata")) == {"metadata": None}
    sent = masked("metadata", metadata=pb.UserMetadata(source="web"))
    assert to_changes(Book, sent) == {"metadata.source": "web", "metadata.tags": None}


@pytest.mark.parametrize("path", ["user_id", "metadata.source"])
def test_what_a_model_must_have_cannot_be_removed(path: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        to_changes(Book, masked(path))
    assert [error.field for error in raised.value.fields] == ["updateMask"]
    assert to_changes(Book, masked("user_id", user_id="asha")) == {"userId": "asha"}


class Counts(Model, frozen=True):
    counts: dict[str, int] = msgspec.field(default_factory=dict)


def test_a_map_is_a_dict() -> None:
    message = ExportCompleted(counts={"user": 1, "record": 42})
    assert to_model(Counts, message) == Counts({"user": 1, "record": 42})
    assert to_message(ExportCompleted, Counts({"user": 1, "record": 42})) == message
    assert to_changes(Counts, message) == {"counts": {"user": 1, "record": 42}}
    book = Book("asha", by_city={"Pune": About("Asha", date(1990, 1, 2))})
    sent = to_message(BookUpdate, book)
    assert sent.by_city["Pune"] == pb.Profile(first_name="Asha", date_of_birth="1990-01-02")
    assert to_model(Book, sent) == book


def test_dates_may_be_several() -> None:
    class Days(Model, frozen=True):
        missing_user_ids: tuple[date, ...]

    message = user_lists_pb2.BatchGetUsersData(missing_user_ids=["2024-01-31", "1990-01-02"])
    days = Days((date(2024, 1, 31), date(1990, 1, 2)))
    assert to_message(user_lists_pb2.BatchGetUsersData, days) == message
    assert to_model(Days, message) == days


def test_documents_in_a_list_are_messages() -> None:
    stored = {
        "users": [{"userId": "asha", "profile": {"city": "Pune"}}, {}],
        "missingUserIds": ["a"],
    }
    found = from_document(user_lists_pb2.BatchGetUsersData, stored)
    user = pb.User(user_id="asha", profile=pb.Profile(city="Pune"))
    assert found == user_lists_pb2.BatchGetUsersData(
        users=[user, pb.User()], missing_user_ids=["a"]
    )


def test_a_stored_document_is_a_message_by_json_names() -> None:
    stored = {
        "_id": "not a field", "at": datetime(2024, 1, 31, tzinfo=UTC), "userId": "asha",
        "platform": None, "fields": ["email"], "actor": {"kind": "caller", "requestId": "r", "x": 1},
    }  # fmt: skip
    event = from_document(audit.AuditEvent, stored, id="1")
    assert (event.id, event.user_id, event.actor.request_id) == ("1", "asha", "r")
    assert event.at.ToDatetime(UTC) == datetime(2024, 1, 31, tzinfo=UTC)
    assert list(event.fields) == ["email"]
    assert not event.HasField("platform")
