"""Installs what files of pins name into this environment, and says how far it is.

Without arguments for pip: `python requirements/install.py run.txt`. On a terminal one line changes, elsewhere
there is one in ten seconds. What pip says is shown if it fails.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
_PIN = re.compile(r"^[A-Za-z0-9._-]+==", re.MULTILINE)
_LINE_SECONDS = 10.0


def main(names: list[str]) -> int:
    files = [str(HERE / name) for name in names]
    count = sum(len(_PIN.findall(Path(file).read_text())) for file in files)
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["--progress-bar", "off", "--require-hashes"]
    for file in files:
        command += ["-r", file]
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, found, told = [], 0, time.monotonic()
    for line in process.stdout or ():
        said.append(line)
        if line.startswith(("Collecting ", "Requirement already satisfied: ")):
            found += 1
        elif not line.startswith("Installing collected"):
            continue
        step = "installing" if line.startswith("Installing") else f"{min(found, count)} of {count}"
        if sys.stdout.isatty():
            print(f"\r  {step} packages", end="", flush=True)
        elif time.monotonic() - told >= _LINE_SECONDS:
            told = time.monotonic()
            print(f"  {step} packages", flush=True)
    if sys.stdout.isatty():
        print("\r\033[K", end="")
    if code := process.wait():
        print("".join(said[-20:]), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
