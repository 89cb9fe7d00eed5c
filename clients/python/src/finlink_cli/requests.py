"""Requests, built from the command line and `--body`."""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finlink_cli import rpcs, streams
from finlink_cli.cli import Cli
from finlink_cli.contract import Field, Rpc
from finlink_cli.failures import Failure, wrong_usage
from finlink_cli.output import Json
from finlink_cli.parameters import CONNECTOR, name_of

if TYPE_CHECKING:
    from google.protobuf.message import Message


FILE = "google.api.HttpBody"
_NAMES = {"userId": "user", "platform": "platform", CONNECTOR: "connector"}
_CHUNK = 64 << 10
_UNKNOWN = "application/octet-stream"


def build(cli: Cli, rpc: Rpc, values: Mapping[str, Any], body: Path | None = None) -> Message:
    """The request of an RPC; `values` are those of its parameters. Raises Failure."""
    content = _body(body)
    cli.options = {field.json: _named(field) for field in rpc.fields if field.type != "secret"}
    for index, field in enumerate(rpc.fields):
        value = values.get(name_of(index))
        if value is not None and value != []:
            if field.json in _NAMES:
                cli.names[_NAMES[field.json]] = str(value)
            _put(content, field, _in_json(cli, field, value))
    for field in rpc.fields:
        if field.needed and _at(content, field) is None:
            _put(content, field, _missing(cli, field))
    return _parsed(rpc, content)


def _put(content: Json, field: Field, value: Any) -> None:
    place = content
    *outer, own = field.json.split(".")
    for name in outer:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise wrong_usage(f"{name} in --body must be an object")
    place[own] = value


def _at(content: Json, field: Field) -> Any:
    place: Any = content
    for name in field.json.split("."):
        place = place.get(name) if isinstance(place, dict) else None
    return place


def _missing(cli: Cli, field: Field) -> Any:
    """A value that is needed and was not given: a secret that a person types. Raises Failure."""
    if field.type == "bool":
        return True
    if field.type == "secret" and cli.can_ask:
        return streams.ask(field.name.capitalize(), hide_input=True)
    if field.type == "secret":
        raise wrong_usage(f"{field.name} is needed", "Give it in a file: --body FILE.")
    kind = "argument" if field.argument else "option"
    raise wrong_usage(f"Missing {kind} '{_named(field)}'", "See --help.")


def _named(field: Field) -> str:
    return field.name if field.argument else f"--{field.name.partition('/')[0]}"


def chunks(path: Path) -> Sequence[Message]:
    """A file as the messages that carry one. Raises Failure."""
    from google.api.httpbody_pb2 import HttpBody

    content = _read("file", path)
    kind = mimetypes.guess_type(path.name)[0] or _UNKNOWN
    return [
        HttpBody(content_type=kind, data=content[start : start + _CHUNK])
        for start in range(0, len(content) or 1, _CHUNK)
    ]


def _body(body: Path | None) -> Json:
    """The content of `--body`. Raises Failure, which quotes nothing of it."""
    if body is None:
        return {}
    content = streams.json_object(_read("--body", body))
    if content is None:
        raise wrong_usage("--body must be one JSON object")
    return content


def _in_json(cli: Cli, field: Field, value: Any) -> Any:
    """A value of the command line as JSON has it in a request. Raises Failure."""
    if field.type == "mask":
        return ",".join(_camel(word) for word in value)
    if field.type == "map":
        return dict(_entry(field, text) for text in value)
    if field.values:
        names = dict(zip(field.words, field.values, strict=True))
        return [names[each] for each in value] if field.repeated else names[value]
    return [_one(cli, field, each) for each in value] if field.repeated else _one(cli, field, value)


def _one(cli: Cli, field: Field, value: Any) -> Any:
    match field.type:
        case "json":
            try:
                return json.loads(value)
            except (ValueError, RecursionError):
                raise wrong_usage(f"{field.name} must be JSON") from None
        case "file" | "content":
            encoded = base64.b64encode(_read(field.name, value)).decode()
            if field.type == "file":
                return encoded
            guessed = mimetypes.guess_type(value.name)[0] or _UNKNOWN
            return {"contentType": guessed, "data": encoded}
        case "text" if field.json.rpartition(".")[2] == CONNECTOR:
            return rpcs.connector_id(cli, value)
    return value


def _read(name: str, path: Path) -> bytes:
    try:
        return streams.read(str(path))
    except OSError as error:
        raise wrong_usage(f"{name}: {path} cannot be read: {error.strerror}") from None


def _entry(field: Field, text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise wrong_usage(f"--{field.name} must be KEY=VALUE, not {text}")
    return key, value


def _camel(word: str) -> str:
    first, *rest = word.split("-")
    return "".join([first, *(part.capitalize() for part in rest)])


def _parsed(rpc: Rpc, content: Json) -> Message:
    """The request of that JSON. Raises Failure."""
    from google.protobuf.json_format import ParseDict, ParseError

    request: Message = rpcs.blank(rpc)
    try:
        ParseDict(content, request)
    except ParseError as error:
        raise _wrong(rpc, content, error) from None
    return request


def _wrong(rpc: Rpc, content: Json, error: Exception) -> Failure:
    """Names the option, if one is to blame; quotes numbers alone."""
    from google.protobuf.json_format import ParseDict, ParseError

    for field in rpc.fields:
        alone: Json = {}
        if (value := _at(content, field)) is None:
            continue
        _put(alone, field, value)
        try:
            ParseDict(alone, rpcs.blank(rpc))
        except ParseError as own:
            number = isinstance(value, int | float)
            why = f"{value} is out of range" if number else f"it cannot be read: {own}"
            return wrong_usage(f"{_named(field)}: {why}", "See --help.")
    return wrong_usage(f"the request cannot be read: {error}", "See --help.")
