from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from server.commands.database import with_data_folder
from server.edge import programs
from server.edge.errors import StartError
from server.supervisor.datadir import LOG_LIMIT, DataDir, socket_folder, started_at

HOLDER = """
import sys
from pathlib import Path
from server.supervisor.datadir import DataDir
with DataDir(Path(sys.argv[1])).locked():
    print(flush=True)
    sys.stdin.read()
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_one_supervisor_a_folder(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(StartError) as caught, DataDir(tmp_path).locked():
            pass
        holder.kill()
    assert str(caught.value) == (
        f"Another Finlink (process {holder.pid}) uses the data folder {tmp_path}. "
        "Stop it, or set DATA_DIR to another folder."
    )
    with DataDir(tmp_path).locked():  # a dead holder holds nothing
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "data")
    key, made = data.encryption_key()
    assert made
    assert len(bytes.fromhex(key)) == 32
    path = data.path / "encryption.key"
    assert mode(path) == 0o600
    assert mode(data.path) == 0o700
    path.chmod(0o644)
    assert data.encryption_key() == (key, False)
    assert mode(path) == 0o600


def test_a_spoilt_key_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "encryption.key").write_text("not hex")
    with pytest.raises(StartError, match="is not an encryption key") as caught:
        DataDir(tmp_path).encryption_key()
    assert "not hex" not in str(caught.value)
    assert (tmp_path / "encryption.key").read_text() == "not hex"


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="Set DATA_DIR"):
        DataDir(tmp_path / "file" / "data")


def test_commands_make_nothing_in_the_folder(tmp_path: Path) -> None:
    """In a container it is there and read-only."""
    uri = "mongodb://127.0.0.1:1/"
    found = with_data_folder(data_dir=tmp_path, mongodb_uri=uri, encryption_key=None)
    assert found.mongodb_uri == SecretStr(uri)
    assert list(tmp_path.iterdir()) == []


def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    log = data.log("envoy")
    log.write_text("short")
    assert data.log("envoy").exists()
    with log.open("ab") as file:
        file.truncate(LOG_LIMIT + 1)
    assert not data.log("envoy").exists()
    assert (tmp_path / "log" / "envoy.log.1").stat().st_size == LOG_LIMIT + 1


def test_leftovers_are_the_very_processes_recorded(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    me = os.getpid()
    sockets = tmp_path / "finlink-abc"
    sockets.mkdir()
    other_time = {"started": {"a": [me, 1.0]}, "sockets": str(sockets)}
    data.write_run_file(other_time)
    assert data.leftovers() == {}
    assert not sockets.exists()
    data.write_run_file({"started": {"a": [me, started_at(me)]}, "sockets": "x"})
    assert {n: p.pid for n, p in data.leftovers().items()} == {"a": me}
    assert mode(data.run_file) == 0o600
    data.run_file.write_text("{}")
    assert data.leftovers() == {}
    data.remove_run_file()
    assert data.leftovers() == {}


def test_socket_paths_stay_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with socket_folder() as folder:
        assert len(str(folder)) < 60
        assert mode(folder) == 0o700
    assert not folder.exists()


def test_missing_programs_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    with pytest.raises(StartError, match="mongod is missing"):
        programs.find_mongod()
    with pytest.raises(StartError, match="Envoy is missing"):
        programs.find_envoy()


def test_a_program_without_run_bit_gets_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    binary = tmp_path / programs.MONGOD_IN_WHEEL
    binary.parent.mkdir(parents=True)
    binary.touch(0o644)
    assert programs.find_mongod() == binary
    assert os.access(binary, os.X_OK)
