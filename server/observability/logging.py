"""Logs: one JSON object a line, or readable lines where a person watches a terminal."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


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
        renderer = [structlog.dev.ConsoleRenderer()]
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
