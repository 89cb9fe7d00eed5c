"""Fetches the last released contract, which `make lint` compares the contract with: `gen/released.binpb`.

`protos/released.txt` names its commit, which every whole clone has; a shallow one asks for that commit alone.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from codegen.stubs import FOLDERS, GEN, PROTOS, ROOT, run_protoc, validate_descriptors

PLACE = PROTOS / "released.txt"
RELEASED = GEN / "released.binpb"
_STAMP = GEN / "released"


def main() -> None:
    commit = PLACE.read_text().split()[0]
    if RELEASED.exists() and _STAMP.exists() and _STAMP.read_text() == commit:
        return
    GEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=GEN) as scratch:
        with tarfile.open(fileobj=io.BytesIO(archive(commit))) as packed:
            packed.extractall(scratch, filter="data")
        protos, validate = Path(scratch) / "protos", Path(scratch) / "validate.binpb"
        validate.write_bytes(validate_descriptors().SerializeToString())
        run_protoc(
            f"--descriptor_set_in={validate}",
            "--include_imports",
            f"--descriptor_set_out={RELEASED}",
            *(str(path.relative_to(protos)) for path in sorted(protos.rglob("*.proto"))),
            folders=(protos, *FOLDERS[1:]),
        )
    _STAMP.write_text(commit)


def archive(commit: str) -> bytes:
    """The contract of a commit, packed. Ends the program if the commit cannot be had."""
    command = ("archive", "--format=tar", commit, "protos")
    found = _git(*command)
    if found.returncode != 0:
        _git("fetch", "--quiet", "--depth=1", "origin", commit)
        found = _git(*command)
    if found.returncode != 0:
        sys.exit(
            f"released: commit {commit} of {PLACE.name} cannot be had; try `git fetch --unshallow`: "
            f"{found.stderr.decode().strip()}"
        )
    return found.stdout


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=False, capture_output=True)


if __name__ == "__main__":
    main()
