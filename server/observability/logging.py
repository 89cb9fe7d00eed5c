"""Logs: one JSON object a line, or readable lines at a terminal."""

import json
import logging
import sys
import time
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import structlog

from server.observability.buffered_stream import BufferedStream

# The request id of the call being served, in every line that is about it.
request_id: ContextVar[str | None] = ContextVar("finlink_request_id", default=None)
sync_id: ContextVar[str | None] = ContextVar("finlink_sync_id", default=None)

# Shown at terminals, too, though Python does not count them as printable.
SHOWN = "\n\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}\N{NO-BREAK SPACE}"


def cause_of(error: BaseException) -> dict[str, object]:
    """The part of an unexpected exception that a log line may have: its kind and its stack trace.

    Not its text, which can hold what was being stored or sent.
    """
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return {
        "cause": type(error).__name__,
        "cause_code": getattr(error, "code", None),
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def timestamp(at: float) -> str:
    """A time (seconds, POSIX) as log lines have it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def current_id() -> str | None:
    """The id of what is being done, as the log has it: a caller's request, or a sync."""
    return request_id.get() or sync_id.get()


def setup_logging(level: str, *, process: str) -> None:
    """Send structlog's and the standard library's records to stdout in one format.

    `process` names this process in every line.
    """

    def add_time(_logger: Any, _method: str, event: structlog.types.EventDict) -> Any:
        if "timestamp" not in event:  # of an event that is logged later
            event["timestamp"] = timestamp(time.time())
        return event

    def add_facts(_logger: Any, _method: str, event: structlog.types.EventDict) -> Any:
        event["process"] = process
        if (call := request_id.get()) is not None:
            event.setdefault("request_id", call)
        if (run := sync_id.get()) is not None:
            event.setdefault("sync_id", run)
        return {key: value for key, value in event.items() if value is not None}

    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        add_time,
        add_facts,
    ]
    renderer: list[structlog.types.Processor]
    if sys.stdout.isatty():
        # Plain: the pretty ones show the values of local variables, requests with secrets included.
        renderer = [
            _printable,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
    else:
        renderer = [structlog.processors.format_exc_info, _to_json]
    stream = BufferedStream(sys.stdout)
    # Past the standard library, whose records cost more than all the rest of a call that is cached.
    structlog.configure(
        processors=[*shared, *renderer],
        logger_factory=lambda name="": _Logger(name, stream),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)  # libraries speak up only when something is wrong


class _Logger:
    """The logger to which structlog hands a finished line."""

    def __init__(self, name: str, stream: BufferedStream) -> None:
        self.name = name
        self._stream = stream

    def msg(self, line: str) -> None:
        self._stream.write(line + "\n")

    debug = info = warning = error = critical = msg


def _printable(
    _logger: Any, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Texts without what could steer a terminal; joiners are part of names in many scripts."""
    return {
        name: "".join(each if each.isprintable() or each in SHOWN else "\ufffd" for each in value)
        if isinstance(value, str)
        else value
        for name, value in event.items()
    }


_json = json.JSONEncoder(default=repr).encode


def _to_json(_logger: Any, _method: str, event: structlog.types.EventDict) -> str:
    return _json(event)
