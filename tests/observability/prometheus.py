"""A real Prometheus with Finlink's own rules, in which time runs faster."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from server.edge.probes import until
from tests.stack import ROOT, free_ports

Json = dict[str, Any]
PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
needed = pytest.mark.skipif(
    None in {PROMETHEUS, PROMTOOL},
    reason="prometheus and promtool are not there; on Debian both come with the package prometheus",
)
CONFIG = ROOT / "deploy" / "prometheus" / "prometheus.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "finlink.json"
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
TIMEOUT = 60.0  # never reached unless something is broken
# Of the scrapes and the rules; two a second would find some pages late on a busy machine.
INTERVAL = "1s"


def alerts() -> dict[str, Json]:
    """The alert rules by their names."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def panels() -> list[tuple[str, str]]:
    """The queries of the dashboard, each with its panel's title."""
    return [
        (panel["title"], target["expr"])
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel.get("targets", ())
    ]


def hurried(rules: Json) -> Json:
    """The same rules with a window of a second for each minute, and a fifth of that to wait for.

    Nothing else of them changes; `rules_test.yml` has the times as they are.
    """
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        rule["expr"] = re.sub(r"\[(\d+)m\]", r"[\1s]", rule["expr"])
        if "for" in rule:
            rule["for"] = f"{int(rule['for'].removesuffix('m')) * 200}ms"
    return rules


class Prometheus:
    """Its API."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=TIMEOUT)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def get(self, path: str, **parameters: str) -> Any:
        reply = await self._client.get(path, params=parameters)
        assert reply.status_code == 200, reply.text
        return reply.json()["data"]

    async def query(self, expression: str) -> list[Json]:
        """The series that an expression gives now, a `NaN` left out."""
        found: list[Json] = (await self.get("/query", query=expression))["result"]
        return [series for series in found if series["value"][1] != "NaN"]

    async def shown(self, panel: str) -> list[Json]:
        """The series that a panel's query shows now and are not 0."""
        found = await self.query(panel.replace("$__rate_interval", "20s"))
        return [series for series in found if float(series["value"][1]) > 0]

    async def firing(self) -> set[str]:
        active = (await self.get("/alerts"))["alerts"]
        return {alert["labels"]["alertname"] for alert in active if alert["state"] == "firing"}

    async def until_firing(self, names: set[str]) -> None:
        async def fire() -> bool:
            return names <= await self.firing()

        await self._until(fire)

    async def until_quiet(self, names: set[str]) -> None:
        async def are_quiet() -> bool:
            return not names & await self.firing()

        await self._until(are_quiet)

    async def until_evaluated(self) -> None:
        """Until the rules have been applied to pages that were read after this call."""
        await self._until(partial(self._all_after, datetime.now(UTC), "/targets", "lastScrape"))
        await self._until(partial(self._all_after, datetime.now(UTC), "/rules", "lastEvaluation"))

    async def _all_after(self, moment: datetime, path: str, when: str) -> bool:
        reply = await self.get(path)
        entries = reply.get("activeTargets") or reply.get("groups") or []
        times = [datetime.fromisoformat(entry[when]) for entry in entries]
        return bool(times) and min(times) > moment

    @staticmethod
    async def _until(probe: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(TIMEOUT):
            await until(probe)


@contextmanager
def running(folder: Path, targets: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Start one that reads the pages of `targets` (`HOST:PORT` by job); its address."""
    assert PROMETHEUS is not None
    folder.mkdir(parents=True, exist_ok=True)
    rules = hurried(yaml.safe_load(RULES.read_text()))
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))
    config = yaml.safe_load(CONFIG.read_text())
    config["global"] = dict.fromkeys(
        ("scrape_interval", "scrape_timeout", "evaluation_interval"), INTERVAL
    )
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": list(targets[job["job_name"]])}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                PROMETHEUS, f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
                "--query.lookback-delta=5s", "--log.level=warn",
            ],
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        _until_ready(process, url, log)
        yield url
    finally:
        process.terminate()
        process.wait(TIMEOUT)


def _until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as client:
        while True:
            assert process.poll() is None, log.read_text()
            if client.get(f"{url}/-/ready").status_code == 200:
                return
