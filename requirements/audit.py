"""Looks up known vulnerabilities of all that is pinned here: `make audit`.

Exit code 1 where there are any. Without the network nothing can be looked up; that is told, and is an
error only with `--strict`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PINNED = ("run.txt", "dev.txt", "bench.txt")


def main() -> int:
    strict = "--strict" in sys.argv[1:]
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes"]
    command += ["--format", "json", "--progress-spinner", "off"]
    for name in PINNED:
        command += ["-r", str(HERE / name)]
    outcome = subprocess.run(command, text=True, capture_output=True, check=False)
    try:
        found = json.loads(outcome.stdout)["dependencies"]
    except ValueError:
        reason = (outcome.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(f"audit: nothing was looked up: {reason}", file=sys.stderr)
        return 1 if strict else 0
    unknown = [entry["name"] for entry in found if "skip_reason" in entry]
    wrong = [(entry, each) for entry in found for each in entry.get("vulns", ())]
    for entry, each in wrong:
        mended = ", ".join(each["fix_versions"]) or "none yet"
        print(f"{entry['name']} {entry['version']}: {each['id']}, mended in {mended}")
    print(f"audit: {len(found) - len(unknown)} looked up, {len(wrong)} known vulnerabilities")
    if unknown:
        print(f"audit: {len(unknown)} are not known to the service", file=sys.stderr)
    return 1 if wrong or (strict and unknown) else 0


if __name__ == "__main__":
    sys.exit(main())
