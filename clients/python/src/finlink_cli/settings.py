"""Where Finlink is and how to get in: flags, before the environment, before the configuration file."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import typer

from finlink_cli import streams
from finlink_cli.failures import wrong_usage

# A host, or IPv6 in brackets, and a port to 65535; or a socket.
_PORT = r"([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])"
_ADDRESS = re.compile(rf"unix:\S+|([^\s:/\[\]]+|\[[0-9a-fA-F:.]+\]):{_PORT}")
_BOOLEANS = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}


@dataclass(frozen=True)
class Settings:
    """The file and the variables have these names, too: `api_key`, FINLINK_API_KEY."""

    address: str = "localhost:50051"
    api_key: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    tls: bool = False
    ca: str | None = None
    client_cert: str | None = None
    client_key: str | None = None

    @property
    def encrypted(self) -> bool:
        """TLS, which any of its settings asks for."""
        return bool(self.tls or self.ca or self.client_cert)


def config_file() -> Path:
    """On Linux ~/.config/finlink/config.toml, or below XDG_CONFIG_HOME."""
    return Path(typer.get_app_dir("finlink")) / "config.toml"


def load(given: Mapping[str, str | bool | None]) -> Settings:
    """The settings; `given` is what flags say, None where they do not. Raises Failure."""
    found = {**_from_file(config_file()), **_from_environment()}
    found.update({name: value for name, value in given.items() if value is not None})
    for name, value in found.items():
        if not streams.is_text(value):
            raise wrong_usage(f"{name} is not UTF-8")
    settings = Settings(**found)
    for what, secret in (("API key", settings.api_key), ("access token", settings.access_token)):
        if not (secret or "").isascii() or not (secret or "").isprintable():
            kind = what.split()[-1]
            raise wrong_usage(f"the {what} has characters that are in no {kind}: is it complete?")
    if not _ADDRESS.fullmatch(settings.address):
        raise wrong_usage(
            f"the address must be HOST:PORT of Finlink's gRPC, as localhost:50051, not {settings.address}"
        )
    if (settings.client_cert is None) != (settings.client_key is None):
        raise wrong_usage("a client certificate needs its key: --client-cert and --client-key")
    return settings


def _from_environment() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in fields(Settings):
        variable = f"FINLINK_{each.name.upper()}"
        if not (text := os.environ.get(variable)):
            continue
        if each.name == "tls":
            if text.lower() not in _BOOLEANS:
                raise wrong_usage(f"{variable} must be true or false")
            found["tls"] = _BOOLEANS[text.lower()]
        else:
            found[each.name] = text
    return found


def _from_file(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(streams.text(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise wrong_usage(f"{path} is not UTF-8") from None
    except (OSError, ValueError) as error:
        # tomllib quotes no values, so no key is shown.
        raise wrong_usage(f"{path} cannot be read: {error}") from None
    types = {each.name: bool if each.name == "tls" else str for each in fields(Settings)}
    for name, value in content.items():
        if name not in types:
            raise wrong_usage(
                f"{path}: there is no setting {name}", f"There are {', '.join(types)}."
            )
        if not isinstance(value, types[name]):
            kind = "true or false" if types[name] is bool else "a text in quotes"
            raise wrong_usage(f"{path}: {name} must be {kind}")
    if (
        {"api_key", "access_token"} & content.keys()
        and os.name == "posix"
        and path.stat().st_mode & 0o077
    ):
        raise wrong_usage(
            f"{path} holds a key or token that others may read", f"Run: chmod 600 {path}"
        )
    return content
