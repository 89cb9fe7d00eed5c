"""Where things are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
PEERS = BENCH / "peers"
# MongoDB's data, what the peers install, results. Kept between runs, and no part of the repository.
DATA = ROOT / ".data" / "bench"
RESULTS = DATA / "results"
LOGS = DATA / "log"
DOCS = ROOT / "docs" / "benchmarks"
