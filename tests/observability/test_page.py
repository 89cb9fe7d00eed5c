"""The page of several processes: what those that have ended did stays on it, what they were at does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from server.observability.exposition import FOLDER_SETTING, forget_process, serving_metrics
from tests.stack import ROOT, free_ports

WORKER = """
import os
from server.domains.connectors.metrics import SYNCS_DEFERRED, SYNCS_RUNNING
from server.observability.metrics import MONGODB_CONNECTIONS
SYNCS_RUNNING.inc()
MONGODB_CONNECTIONS.inc()
SYNCS_DEFERRED.labels("zerodha").inc()
print(os.getpid(), flush=True)
input()
os.abort()
"""


def shown(port: int) -> dict[str, float]:
    families = text_string_to_metric_families(httpx.get(f"http://127.0.0.1:{port}/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return {sample.name: sample.value for sample in samples if sample.value}


def test_a_dead_process_does_nothing_any_more(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    environment = {**os.environ, FOLDER_SETTING: str(tmp_path)}
    with (
        serving_metrics("127.0.0.1", port, tmp_path),
        subprocess.Popen(
            [sys.executable, "-c", WORKER], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        did, does = "finlink_syncs_deferred_total", "finlink_syncs_running"
        assert shown(port) == {did: 1, does: 1, "finlink_mongodb_connections": 1}
        process.communicate("\n")
        forget_process(tmp_path, pid)
        assert shown(port) == {did: 1}
