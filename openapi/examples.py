"""The examples of the document: `examples.yaml` beside each package's contract, and what follows from them.

Each such file has, all by name,

    messages    a message; in any of the files `!message Name` stands for it
    parameters  a value of a field that comes in the path or the query, by its name in JSON
    bodies      of an RPC, each by what it shows
    replies     the same
    streams     the messages of an RPC that streams
    errors      the details of an error, by its code

An RPC that has no body or reply there gets one all the same: a field is as the message that it has, or as
the field of its name in one of the package's messages. An error has the message that the contract gives it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from openapi import contract
from server.rpc.method import Method

Example = dict[str, Any]

PLACE = "examples.yaml"
_AT = "2026-01-15T10:30:00.000Z"
_CODE = re.compile(r"`([^`]+)`")


class ExampleMissing(LookupError):
    """The message says which, and where it belongs."""


class _Loader(yaml.SafeLoader):
    """Of `!message Name` it makes a function that gives the message."""


_Loader.add_constructor("!message", lambda _, node: lambda: MESSAGES[str(node.value)])
# By package.
_FILES: Mapping[str, dict[str, dict[str, Any]]] = {
    f"finlink.{path.parts[-3]}.{path.parts[-2]}": yaml.load(path.read_text(), _Loader)  # noqa: S506 - a safe one
    for path in sorted(contract.ROOT.glob(f"protos/finlink/*/*/{PLACE}"))
}


def _gathered(section: str) -> dict[str, Any]:
    """A section of all files together."""
    return {name: each for file in _FILES.values() for name, each in file.get(section, {}).items()}


MESSAGES: Mapping[str, Example] = _gathered("messages")
PARAMETERS: Mapping[str, Any] = _gathered("parameters")
BODIES: Mapping[str, Mapping[str, Example]] = _gathered("bodies")
REPLIES: Mapping[str, Mapping[str, Example]] = _gathered("replies")
STREAMS: Mapping[str, list[dict[str, Any]]] = _gathered("streams")
ERRORS: Mapping[str, Example] = _gathered("errors")


def parameter(field: FieldDescriptor) -> Any:
    """Of a field that comes in the path or the query. Raises ExampleMissing."""
    return _needed(_scalar(field), field)


def bodies(method: Method) -> Mapping[str, Example]:
    return BODIES.get(method.descriptor.name) or {
        "An example": _values(method.sent_fields.values())
    }


def replies(method: Method) -> Mapping[str, Example]:
    """Raises ExampleMissing."""
    given = REPLIES.get(method.descriptor.name)
    return given or {"An example": _message(method.descriptor.output_type)}


def stream(method: Method) -> list[Example]:
    """Raises ExampleMissing."""
    name = method.descriptor.name
    if name not in STREAMS:
        raise _missing(name, "streams", method.descriptor.containing_service.file.package)
    return [
        {part: value() if callable(value) else value for part, value in message.items()}
        for message in STREAMS[name]
    ]


def error(code: str) -> Example:
    """The example of an error, whole."""
    said = contract.comment(f"finlink.errors.v1.ERROR_REASON_{code}")
    given = ERRORS.get(code) or {"message": said.partition(".")[0]}
    body = {"code": code, "details": [], "timestamp": _AT, "path": "/api/v1/users/user_12345"}
    return enveloped({"error": body | given}, success=False)


def enveloped(body: Example, *, success: bool = True) -> Example:
    """A reply as it is over REST."""
    return {"success": success, **body, "timestamp": _AT}


def _message(descriptor: Descriptor) -> Example:
    given = MESSAGES.get(descriptor.name)
    return _values(descriptor.fields, whole=True) if given is None else given


def _values(fields: Iterable[FieldDescriptor], *, whole: bool = False) -> Example:
    """Of those fields that have an example; of a whole message all that are always there."""
    found = {}
    for field in fields:
        value = _value(field)
        if whole and not field.has_presence and not field.is_repeated:
            _needed(value, field)
        if value is not None:
            found[field.json_name] = value
    return found


def _value(field: FieldDescriptor) -> Any:
    message = field.message_type
    if message is None or message.file.package == "google.protobuf":
        return _scalar(field)
    if message.GetOptions().map_entry:
        return None
    return [_message(message)] if field.is_repeated else _message(message)


def _scalar(field: FieldDescriptor) -> Any:
    """As the package's messages have it. `wishId` is the id of a wish; a comment may have the text."""
    name, package = field.json_name, _package(field)
    for example in _FILES.get(package, {}).get("messages", {}).values():
        if name in example:
            return example[name]
    if name in PARAMETERS:
        return PARAMETERS[name]
    if name == "message":
        return _CODE.findall(contract.comment(field.full_name))[0]
    return MESSAGES.get(name[:1].upper() + name[1:].removesuffix("Id"), {}).get("id")


def _needed(value: Any, field: FieldDescriptor) -> Any:
    if value is None:
        raise _missing(field.full_name, "messages", _package(field))
    return value


def _package(field: FieldDescriptor) -> str:
    return ".".join(field.full_name.split(".")[:3])


def _missing(name: str, section: str, package: str) -> ExampleMissing:
    place = f"protos/{package.replace('.', '/')}/{PLACE}"
    return ExampleMissing(f"{name} has no example: add one to {place}, under `{section}`.")
