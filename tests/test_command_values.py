"""Arguments and files of the server's commands that look right and never work are refused in one line."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from server.cache.generations import Generations
from tests.stack import ROOT

NOBODY = "mongodb://127.0.0.1:1/"


def refused(*arguments: str, **settings: str) -> str:
    """The line that a command ends with."""
    given = {"ENCRYPTION_KEY": secrets.token_hex(32), "MONGODB_URI": NOBODY, **settings}
    done = subprocess.run(
        [sys.executable, "-m", "server", *arguments], cwd=ROOT, env={**os.environ, **given},
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("finlink: ")
    return line


_LONG = [
    pytest.param(each, marks=pytest.mark.full_only)
    for each in ("localhost", "unix:", "http://x:80")
]


@pytest.mark.parametrize("listen", ["127.0.0.1:99999", *_LONG])
def test_where_to_listen(listen: str) -> None:
    assert "--listen must be unix:/PATH, or HOST:PORT" in refused("serve", "--listen", listen)


@pytest.mark.parametrize(
    "server",
    ["a:99999", *(pytest.param(each, marks=pytest.mark.full_only) for each in ("x:²", "[::1"))],
)
def test_where_servers_are(server: str, tmp_path: Path) -> None:
    assert refused("edge", server, DATA_DIR=str(tmp_path)).endswith("is not HOST:PORT.")


def test_whom_to_ask_for_health(tmp_path: Path) -> None:
    assert "must be HOST:PORT, not nonsense" in refused("health", "nonsense")
    files = dict.fromkeys(
        ("SERVER_TLS_CERT", "SERVER_TLS_KEY", "SERVER_TLS_CA"), str(tmp_path / "x")
    )
    line = refused("health", "127.0.0.1:1", **files)
    assert line.startswith("finlink: SERVER_TLS_*: ")
    assert "cannot be read" in line


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("tls=true&tlsCAFile=/nonexistent", "a file that it names cannot be used"),
        ("heartbeatFrequencyMS=1", "refuses its options"),
        ("foo=bar", "refuses its options"),
    ],
)
def test_options_of_mongodbs_address(options: str, says: str) -> None:
    line = refused("keys", "list", MONGODB_URI=f"mongodb://u:SECRET@h:1/?{options}")
    assert line.startswith("finlink: MONGODB_URI: ")
    assert says in line
    assert "SECRET" not in line


def test_a_file_of_something_else_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "precious"
    file.write_text("precious")
    with pytest.raises(OSError, match="something else"):
        Generations(file)
    assert file.read_text() == "precious"
