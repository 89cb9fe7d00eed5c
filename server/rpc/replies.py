"""Responses as most RPCs have them: what was asked for in `data`, and a `message` where something changed."""

from __future__ import annotations

from typing import Any, TypeVar

from google.protobuf.message import Message

from server.rpc.call import Change, replied
from server.rpc.fields import arguments

P = TypeVar("P", bound=Message)


def reply(kind: type[P], data: Any) -> P:
    """A response whose `data` is made of a model, or another object, by the names of its fields."""
    return kind(data=_data(kind, data))


async def changed(kind: type[P], message: str, change: Change[Any]) -> P:
    """The response to a change, with `data` of what the use case gives where it has any."""

    def respond(value: Any) -> P:
        shown = {"data": _data(kind, value)} if "data" in kind.DESCRIPTOR.fields_by_name else {}
        return kind(message=message, **shown)

    return await replied(change, respond)


def _data(kind: type[Message], value: Any) -> dict[str, Any]:
    return arguments(kind.DESCRIPTOR.fields_by_name["data"].message_type, value)
