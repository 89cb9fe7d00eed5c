"""Where Finlink is and how to get in: flags, before the environment, before the configuration file."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import typer

from finlink_cli import profiles, streams
from finlink_cli.failures import wrong_usage
from finlink_cli.profiles import Profile

# A host, or IPv6 in brackets, and a port to 65535; or a socket.
_PORT = r"([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])"
_ADDRESS = re.compile(rf"unix:\S+|([^\s:/\[\]]+|\[[0-9a-fA-F:.]+\]):{_PORT}")
# Those of a source go together, and take the place of those that come after it.
_CREDENTIALS = {"api_key", "access_token", "profile"}
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
    profile: str = profiles.DEFAULT
    # Not to be set: whether calls are made with that profile's session, and whether it was asked for by name.
    session: bool = False
    named: bool = False

    @property
    def encrypted(self) -> bool:
        """TLS, which any of its settings asks for."""
        return bool(self.tls or self.ca or self.client_cert)


def config_file() -> Path:
    """On Linux ~/.config/finlink/config.toml, or below XDG_CONFIG_HOME."""
    return Path(typer.get_app_dir("finlink")) / "config.toml"


_NAMES = [each.name for each in fields(Settings) if each.name not in ("session", "named")]


def load(given: Mapping[str, str | bool | None]) -> Settings:
    """The settings; `given` is what flags say, None where they do not. Raises Failure."""
    flags = {name: value for name, value in given.items() if value is not None}
    variables, file = _from_environment(), _from_file(config_file())
    name = str({**file, **variables, **flags}.get("profile", profiles.DEFAULT))
    profile = profiles.read().get(name)
    found = {**file, **(profile.place if profile else {}), **variables, **flags}
    found = {key: value for key, value in found.items() if key not in _CREDENTIALS}
    found |= _credentials(flags, variables, {"profile": name} if profile else {}, file)
    session = "profile" in found
    found["profile"] = name
    for name, value in found.items():
        if not streams.is_text(value):
            raise wrong_usage(f"{name} is not UTF-8")
    named = "profile" in flags or "profile" in variables
    settings = Settings(**found, session=session, named=named)
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
    return _of_its_place(settings, profile)


def _credentials(*sources: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the first source that has any. Raises Failure."""
    for source in sources:
        if found := {name: source[name] for name in _CREDENTIALS if name in source}:
            if {"access_token", "profile"} <= found.keys():
                raise wrong_usage("an access token and a profile exclude each other")
            return found
    return {}


def _of_its_place(settings: Settings, profile: Profile | None) -> Settings:
    """No token goes where it is not from. Raises Failure for a profile that was asked for by name."""
    if not settings.session or profile is None:
        return settings
    if profile.address == settings.address and settings.encrypted >= profile.tls:
        return settings
    if settings.named:
        where = profile.address + (" with TLS" if profile.tls else "")
        raise wrong_usage(
            f"the profile {settings.profile} is of {where}, and its tokens go nowhere else",
            "Leave out the address, or sign in there under another profile.",
        )
    return replace(settings, session=False)


def _from_environment() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in _NAMES:
        variable = f"FINLINK_{name.upper()}"
        if not (text := os.environ.get(variable)):
            continue
        if name == "tls":
            if text.lower() not in _BOOLEANS:
                raise wrong_usage(f"{variable} must be true or false")
            found["tls"] = _BOOLEANS[text.lower()]
        else:
            found[name] = text
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
    types = {name: bool if name == "tls" else str for name in _NAMES}
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
