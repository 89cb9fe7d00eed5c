"""Logs: one JSON object a line, or readable lines where a person watches a terminal."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

import structlog


def cause_of(error: BaseException) -> dict[str, object]:
    """What a log line may say of an unexpected exception: its kind, and the way it came.

    Not its text, which can hold what was being stored or sent.
    """
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return {
        "cause": type(error).__name__,
        "cause_code": getattr(error, "code", None),
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def setup_logging(level: str, *, process: str) -> None:
    """Send structlog's and the standard library's records to stdout in one format.

    `process` names this process in every line.
    """

    def add_process(_logger: Any, _method: str, event: structlog.types.EventDict) -> Any:
        event["process"] = process
        return event

    def drop_none(_logger: Any, _method: str, event: structlog.types.EventDict) -> Any:
        return {key: value for key, value in event.items() if value is not None}

    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_process,
        drop_none,
    ]
    renderer: list[structlog.types.Processor]
    if sys.stdout.isatty():
        # Plain: the pretty ones show the values of local variables, requests with secrets included.
        renderer = [
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        ]
    else:
        renderer = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)  # libraries speak up only when something is wrong
    logging.getLogger("finlink").setLevel(level)
