"""Who is signed in where: profiles with their tokens, in one file that only its owner may read.

Several processes may use it at once: each changes it under a lock, and replaces the file whole.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from finlink_cli.failures import Failure, wrong_usage

try:
    from fcntl import LOCK_EX, flock
except ImportError:  # on Windows: two that renew at once get the same tokens, within a minute
    flock = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from finlink_client import Tokens

DEFAULT = "default"
# Of Settings: how Finlink was reached when the user signed in.
PLACE = ("address", "tls", "ca", "client_cert", "client_key")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A user who has signed in, and where. Printing shows no token."""

    user: str
    role: str
    session: str
    address: str
    tls: bool = False
    ca: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    device_token: str = field(default="", repr=False)
    tokens: Mapping[str, Any] = field(repr=False)

    @property
    def place(self) -> dict[str, Any]:
        """As settings."""
        return {name: getattr(self, name) for name in PLACE if getattr(self, name) is not None}


def file() -> Path:
    """On Linux ~/.config/finlink/profiles.json, or below XDG_CONFIG_HOME."""
    return Path(typer.get_app_dir("finlink")) / "profiles.json"


def read() -> dict[str, Profile]:
    """All of them, by name. Raises Failure."""
    path = file()
    try:
        content = json.loads(path.read_bytes())
        found = {name: Profile(**profile) for name, profile in content.items()}
        others = os.name == "posix" and path.stat().st_mode & 0o077
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise wrong_usage(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError):  # quotes nothing of it
        raise _damaged() from None
    if others:
        raise wrong_usage(f"{path} holds tokens that others may read", f"Run: chmod 600 {path}")
    return found


@contextmanager
def locked() -> Iterator[None]:
    """Keeps other processes from changing the file. Raises Failure."""
    path = file().with_suffix(".lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise wrong_usage(f"{path} cannot be written: {error.strerror}") from None
    try:
        if flock is not None:
            flock(descriptor, LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def put(name: str, profile: Profile | None) -> None:
    """Write one, or remove it, while it is `locked`. Raises Failure."""
    profiles = {**read(), name: profile}
    content = {key: asdict(each) for key, each in profiles.items() if each is not None}
    path = file()
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".profiles-", dir=path.parent)  # mode 0600
        with os.fdopen(descriptor, "w") as written:
            json.dump(content, written, indent=1)
            written.flush()
            os.fsync(written.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        with suppress(OSError):
            Path(temporary).unlink()
        raise wrong_usage(f"{path} cannot be written: {error.strerror}") from None


class Store:
    """The tokens of one profile, as the client asks for them."""

    def __init__(self, name: str) -> None:
        self._name = name

    def lock(self) -> AbstractContextManager[None]:
        return locked()

    def load(self) -> Tokens | None:
        from finlink_client import Tokens

        found = read().get(self._name)
        try:
            return None if found is None else Tokens(**found.tokens)
        except TypeError:
            raise _damaged() from None

    def save(self, tokens: Tokens) -> None:
        """Not if another process has signed out meanwhile."""
        if (found := read().get(self._name)) is not None:
            put(self._name, replace(found, tokens=asdict(tokens)))


def _damaged() -> Failure:
    return wrong_usage(f"{file()} is damaged", "Remove it and sign in again.")
