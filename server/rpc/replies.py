"""Responses as most RPCs have them: what was asked for in `data`, and a `message` where something changed."""

from typing import Any, TypeVar

from google.protobuf.message import Message

from server.core.pages import Page
from server.rpc.call import Change, replied
from server.rpc.fields import arguments

T = TypeVar("T")
P = TypeVar("P", bound=Message)


def reply(kind: type[P], data: Any) -> P:
    """A response whose `data` is made of a model, or another object, by the names of its fields."""
    return kind(data=arguments(_data_of(kind), data))


def listed(kind: type[P], page: Page[T], **pagination: Any) -> P:
    """A response whose `data` has the items of a page in its list, and in `pagination` where that stands."""
    fields = _data_of(kind).fields_by_name
    (items,) = (field for field in fields.values() if field.is_repeated)
    stands = {**arguments(fields["pagination"].message_type, page), **pagination}
    shown = [arguments(items.message_type, item) for item in page.items]
    return kind(data={items.name: shown, "pagination": stands})


async def changed(kind: type[P], message: str, change: Change[Any]) -> P:
    """The response to a change, with `data` of what the use case gives where it has any."""

    def respond(value: Any) -> P:
        has_data = "data" in kind.DESCRIPTOR.fields_by_name
        shown = {"data": arguments(_data_of(kind), value)} if has_data else {}
        return kind(message=message, **shown)

    return await replied(change, respond)


def _data_of(kind: type[Message]) -> Any:
    return kind.DESCRIPTOR.fields_by_name["data"].message_type
