"""The data folder: one supervisor at a time, the encryption key, what runs. README.md lists its files."""

import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psutil

from server.edge.access_log import put_aside
from server.edge.errors import StartError
from server.security.keys import SINGLE, decode_key

KEY_FILE = "encryption.key"
LOG_LIMIT = 10 * 1024 * 1024  # a longer log is renamed at the next start
UNIX_PATH_LIMIT = 100  # the kernel's is 107 bytes
CLOCK_SLACK = 2.0  # seconds by which the reported start time of a process may vary


class DataDir:
    """The folder, created if it is missing; private to the user, since there are keys in it."""

    def __init__(self, path: Path, *, make: bool = True) -> None:
        """Without `make` it is only read: a container's may be read-only."""
        self.path = path.absolute()
        self.mongo = self.path / "mongo"
        self.run_file = self.path / "run.json"
        self.envoy_config = self.path / "envoy.yaml"
        if not make:
            return
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.mongo.mkdir(mode=0o700, exist_ok=True)
            (self.path / "log").mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _unusable(self.path, error) from None

    def log(self, name: str) -> Path:
        """The file of this log. A long one from before is renamed."""
        path = self.path / "log" / f"{name}.log"
        put_aside(path, LOG_LIMIT)
        return path

    def fresh_metrics(self) -> Path:
        """An empty folder for the workers' counters, which start at zero with each run."""
        path = self.path / "metrics"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700)
        return path

    @contextmanager
    def locked(self) -> Iterator[Self]:
        """Lock the folder. Raises StartError if another supervisor has locked it."""
        lock = self.path / "lock"
        try:
            file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unusable(self.path, error) from None
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = os.read(file, 20).decode(errors="replace").strip() or "unknown"
                raise StartError(
                    f"Another Finlink (process {pid}) uses the data folder {self.path}. "
                    "Stop it, or set DATA_DIR to another folder."
                ) from None
            os.truncate(file, 0)
            os.write(file, f"{os.getpid()}\n".encode())
            yield self
        finally:
            # Releases the lock; the file stays, since two could lock it if it were removed.
            os.close(file)

    def encryption_key(self) -> tuple[str, bool]:
        """The folder's key, and whether it was made just now."""
        path = self.path / KEY_FILE
        made = not path.exists()
        if made:
            # Complete or absent: a key truncated by a crash would look like a wrong one.
            _write_private(path, secrets.token_hex(32) + "\n")
        try:
            key = path.read_text().strip()
            decode_key(key)
        except (OSError, ValueError):
            raise StartError(
                f"{path} is not an encryption key. Put back the one that was there; without it, "
                "stored credentials cannot be read."
            ) from None
        path.chmod(0o600)
        return key, made

    def has_key(self) -> bool:
        return (self.path / KEY_FILE).exists()

    def key_for(self, ring: Mapping[str, bytes]) -> tuple[str | None, bool]:
        """The folder's key if this ring needs it, and whether it was made just now.

        With ENCRYPTION_KEYS set, it still decrypts what it encrypted before.
        """
        if not ring:
            return self.encryption_key()
        if SINGLE in ring or not self.has_key():
            return None, False
        return self.encryption_key()

    def running_mongod(self) -> int | None:
        """The port of the folder's mongod, if it runs."""
        record, running = self._last_run()
        with suppress(KeyError, TypeError, ValueError):
            return int(record["ports"]["mongo"]) if "mongod" in running else None
        return None

    def write_run_file(self, record: Mapping[str, object]) -> None:
        _write_private(self.run_file, json.dumps(record, indent=2) + "\n")

    def remove_run_file(self) -> None:
        self.run_file.unlink(missing_ok=True)

    def leftovers(self) -> dict[str, psutil.Process]:
        """The processes of an earlier supervisor that was killed. Removes its socket folder.

        They have had SIGTERM already (see parent_death_signal.py); mongod takes a second to end.
        """
        record, running = self._last_run()
        sockets = Path(str(record.get("sockets", "")))
        if sockets.name.startswith("finlink-"):
            shutil.rmtree(sockets, ignore_errors=True)
        return running

    def _last_run(self) -> tuple[dict[str, Any], dict[str, psutil.Process]]:
        """The run file, and those of its processes that still run; nothing where it cannot be read."""
        try:
            record: dict[str, Any] = json.loads(self.run_file.read_text())
            started = record["started"].items()
            found = {name: _same_process(int(pid), float(at)) for name, (pid, at) in started}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}, {}
        return record, {name: each for name, each in found.items() if each is not None}


def started_at(pid: int) -> float:
    """When a process was started, which with its pid identifies it."""
    with suppress(psutil.Error):
        return float(psutil.Process(pid).create_time())
    return 0.0


@contextmanager
def socket_folder() -> Iterator[Path]:
    """A temporary folder with a short name, since the path of a unix socket must be short."""
    path = Path(tempfile.mkdtemp(prefix="finlink-"))
    if len(os.fsencode(path)) + len("/worker-999.sock") > UNIX_PATH_LIMIT:
        path.rmdir()
        path = Path(tempfile.mkdtemp(prefix="finlink-", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _same_process(pid: int, at: float) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - at) > CLOCK_SLACK:
            return None
    except psutil.Error:
        return None
    return process


def _write_private(path: Path, text: str) -> None:
    scratch = path.with_suffix(".new")
    scratch.unlink(missing_ok=True)
    file = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    scratch.replace(path)


def _unusable(path: Path, error: OSError) -> StartError:
    return StartError(
        f"The data folder {path} cannot be used ({error.strerror}). "
        "Set DATA_DIR to a writable folder."
    )
