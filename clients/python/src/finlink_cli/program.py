"""The entry point that is installed as `finlink`, also where what the command line needs was left out."""

from __future__ import annotations

import sys


def program() -> None:
    try:
        from finlink_cli import app
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in {"rich", "typer"}:
            raise
        sys.exit(f"finlink: {package} is missing: pip install 'finlink-client[cli]'")
    app.program()
