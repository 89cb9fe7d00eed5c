"""What REST callers get of a stream, as text."""

from __future__ import annotations

import json

import pytest
from finlink.connectors.v1.watch_pb2 import WatchConnectorsResponse
from finlink.exports.v1.export_service_pb2 import ExportCompleted, ExportUserResponse
from finlink.users.v1.user_pb2 import Profile, User
from google.api.httpbody_pb2 import HttpBody

from server.core.errors import ApiError
from server.rpc.call import Call
from server.rpc.streams import rest_error, rest_message
from tests.rpc.samples import METHODS

WATCH, EXPORT = METHODS["WatchConnectors"], METHODS["ExportUser"]


def written(serialized: bytes) -> tuple[str, str]:
    body = HttpBody.FromString(serialized)
    return body.content_type, body.data.decode()


def call(path: str) -> Call:
    return Call("/rpc", "id", path, "peer")


def test_an_event() -> None:
    message = WatchConnectorsResponse(resume_token="t1", type="ready")
    kind, text = written(rest_message(WATCH, message))
    assert kind == "text/event-stream"
    first, second, third, *rest = text.split("\n")
    assert (first, second, rest) == ("id: t1", "event: ready", ["", ""])
    assert json.loads(third.removeprefix("data: ")) == {"resumeToken": "t1", "type": "ready"}


def test_a_line() -> None:
    kind, text = written(rest_message(EXPORT, ExportUserResponse(completed=ExportCompleted())))
    assert kind == "application/x-ndjson"
    assert text == '{"completed": {"counts": {}}}\n'


@pytest.mark.parametrize("end", ["\n", "\r", "\x0b", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_line_is_one_line_whatever_it_says(end: str) -> None:
    user = User(profile=Profile(city=f"A{end}B"))
    _, text = written(rest_message(EXPORT, ExportUserResponse(user=user)))
    (line,) = text.splitlines()
    assert json.loads(line)["user"]["profile"]["city"] == f"A{end}B"


def test_an_error_once_it_has_begun() -> None:
    reported = call("/api/v1/x?secret=1")
    kind, line = written(rest_error(EXPORT, ApiError("Gone"), reported))
    assert (kind, line[-1]) == ("application/x-ndjson", "\n")
    error = json.loads(line)["error"]
    assert (error["code"], error["message"], error["path"]) == ("INTERNAL", "Gone", "/api/v1/x")
    kind, event = written(rest_error(WATCH, ApiError("Gone"), reported))
    assert kind == "text/event-stream"
    name, data, *rest = event.split("\n")
    assert (name, rest) == ("event: error", ["", ""])
    assert json.loads(data.removeprefix("data: "))["error"]["message"] == "Gone"
