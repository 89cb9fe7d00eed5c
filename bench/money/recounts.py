"""How long `verify-money` takes, and that it finds nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

from bench.agreement import Disagreement
from bench.money import shape
from bench.money.world import World
from bench.rows import figure_row
from bench.stacks import ENCRYPTION_KEY
from server.supervisor.specs import env_without_secrets

_MOST_TURNS = 3


def recounts(world: World, turns: int) -> dict[str, Any]:
    """Of the user with the many transactions, with all that the command takes to start; then of all."""
    taken = []
    for turn in range(min(turns, _MOST_TURNS)):
        world.up.report(f"recount: turn {turn + 1} of {min(turns, _MOST_TURNS)}")
        taken.append(_recount(world, "--user", shape.user_id(shape.MAIN))[0])
    world.up.report("recount of all users")
    seconds, report = _recount(world)
    rows = [
        figure_row(f"recount of {world.size.user_rows:,} transactions", taken, 5, " s", aim=2),
        figure_row(f"recount of {report['transactions']:,}", [seconds], None, " s"),
        figure_row("… users whose ledger differs", [report["different"]], 0, ""),
    ]
    return {"seconds": taken, "all": report, "rows": rows}


def _recount(world: World, *words: str) -> tuple[float, dict[str, Any]]:
    """Seconds, and the report. Raises Disagreement where the command fails."""
    given = {
        "MONGODB_URI": world.up.uri, "DB_NAME": world.size.database, "ENCRYPTION_KEY": ENCRYPTION_KEY,
    }  # fmt: skip
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "server", "verify-money", *words],
        env={**env_without_secrets(), **given}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    taken = time.perf_counter() - began
    try:
        report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        raise Disagreement(f"verify-money: {done.stderr.strip() or done.stdout.strip()}") from None
    return taken, report
