"""The page that Prometheus reads: `http://HOST:PORT/metrics`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

# The library reads this one itself, when it is imported.
FOLDER_SETTING = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def serving_metrics(host: str, port: int, folder: Path | None = None) -> Iterator[None]:
    """Serve while inside: what all processes count into `folder`, or what this one counts.

    Raises OSError where the port cannot be had.
    """
    registry = REGISTRY
    if folder is not None:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    server, thread = start_http_server(port, host, registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def forget_process(folder: Path, pid: int) -> None:
    """Drop what a process that has ended was doing just then, as runs under way; what it did stays."""
    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
