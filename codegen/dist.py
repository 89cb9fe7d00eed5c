"""Packs the clients for those who depend on them: `make dist`.

    dist/python/   a wheel                                pip install --find-links
    dist/npm/      an npm package                         npm install FILE
    dist/go/       the files of a Go module proxy         GOPROXY=file://… or any web server

Nothing of it is committed. A language that cannot be made here is reported and left out.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from codegen.clients import GO, GO_MODULE, LANGUAGES, TYPESCRIPT, Failed, NotToBeHad, step
from codegen.stubs import ROOT

PYTHON = ROOT / "clients" / "python"
DIST = ROOT / "dist"


def python(into: Path) -> Path:
    """A wheel of the client and the command line, built in a copy."""
    with tempfile.TemporaryDirectory() as scratch:
        left_out = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
        copy = shutil.copytree(PYTHON, Path(scratch) / "python", ignore=left_out)
        step(
            sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
            "--no-deps", "--no-build-isolation", "--wheel-dir", str(into), str(copy),
            folder=copy,
        )  # fmt: skip
    return next(into.glob("*.whl"))


def npm(into: Path) -> Path:
    LANGUAGES["typescript"].make()
    said = step("npm", "pack", "--json", f"--pack-destination={into}", folder=TYPESCRIPT)
    return into / str(json.loads(said)[0]["filename"])


def go(into: Path) -> Path:
    """The module as a proxy serves it; see go.dev/ref/mod#goproxy-protocol and #zip-files."""
    LANGUAGES["go"].make()
    found = re.search(r'const Version = "([^"]+)"', (GO / "finlink" / "client.go").read_text())
    if found is None:
        raise Failed("clients/go/finlink/client.go has no Version")
    version = f"v{found[1]}"
    folder = into / GO_MODULE / "@v"
    folder.mkdir(parents=True)
    (folder / "list").write_text(f"{version}\n")
    info = {"Version": version, "Time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    (folder / f"{version}.info").write_text(json.dumps(info))
    shutil.copy(GO / "go.mod", folder / f"{version}.mod")
    target = folder / f"{version}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in _of_module():
            archive.write(path, f"{GO_MODULE}@{version}/{path.relative_to(GO)}")
    return target


def _of_module() -> Iterator[Path]:
    """The files of the module: tools are a module of their own, and tests need this repository."""
    for path in sorted(GO.rglob("*")):
        own = path.relative_to(GO).parts[0] != "tools" and not path.name.endswith("_test.go")
        if path.is_file() and own:
            yield path


PACKED: dict[str, Callable[[Path], Path]] = {"python": python, "npm": npm, "go": go}


def main() -> None:
    shutil.rmtree(DIST, ignore_errors=True)
    for name, pack in PACKED.items():
        folder = DIST / name
        folder.mkdir(parents=True)
        try:
            print(f"dist: {pack(folder).relative_to(ROOT)}")
        except NotToBeHad as reason:
            print(f"dist: {name} is left out. {reason}")
        except Failed as failure:
            sys.exit(f"dist: {name}: {failure}")
    print("clients/README.md describes how to host and install them.")


if __name__ == "__main__":
    main()
