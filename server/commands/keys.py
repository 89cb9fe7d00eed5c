"""`python -m server keys`: the API keys that guard Finlink."""

import json
import sys
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from server.commands.database import audit_trail, on_database, show
from server.config import ConfigError, Settings
from server.core.access import NAME, ApiKey, Scope, digest, new_key
from server.core.events import Event
from server.storage.api_keys import ApiKeyStore, NameTaken
from server.storage.changes import RecordedChanges
from server.storage.driver import Database

keys = typer.Typer(
    name="keys",
    no_args_is_help=True,
    help="Make, list and revoke the API keys that guard Finlink. "
    "Once there is one, every call needs a key; running servers follow within two seconds.",
)
COLUMNS = ("name", "scope", "created", "revoked", "from")


class ScopeName(StrEnum):
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Name = Annotated[str, typer.Argument(help="Who uses the key: letters, digits, `.`, `_`, `-`.")]


@keys.command()
def create(
    name: Name,
    scope: Annotated[
        ScopeName, typer.Option(help="The key's scope; each includes those before it.")
    ] = ScopeName.WRITE,
) -> None:
    """Make a key and print it, once: only its hash is stored."""
    if not NAME.fullmatch(name):
        raise SystemExit(
            "finlink: NAME must be 1 to 63 letters, digits, `.`, `_` or `-`, and begin with a letter or digit"
        )
    key = new_key()

    async def add(database: Database, settings: Settings) -> None:
        if name in {fixed.name for fixed in settings.fixed_keys}:
            raise NameTaken(name)
        changes = RecordedChanges(database, await audit_trail(database, settings))
        made = ApiKey(name, Scope[scope.upper()], digest(key))
        await changes.make(
            partial(ApiKeyStore(database).add, made),
            lambda _: Event("api_key.created", fields=[name]),
            None,
        )

    try:
        on_database(add)
    except NameTaken:
        raise SystemExit(
            f"finlink: a key {name} exists, or existed; choose another name, such as {name}-2"
        ) from None
    if sys.stdout.isatty():
        print(f"{key}\n\nStore it now: it is not shown again. Send it as the header x-api-key.")
    else:
        print(json.dumps({"name": name, "scope": scope.value, "key": key}))


@keys.command("list")
def list_keys() -> None:
    """List all keys by name, including revoked ones."""

    async def read(database: Database, settings: Settings) -> list[dict[str, object]]:
        stored = [_row(key, "database") for key in await ApiKeyStore(database).all()]
        return stored + [_row(key, "API_KEYS") for key in settings.fixed_keys]

    show(on_database(read), COLUMNS, "There are no API keys: anyone may call.")


@keys.command()
def revoke(name: Name, yes: Yes = False) -> None:
    """Revoke a key. It stays in the list, and its name cannot be used again.

    Revoking the last one asks first: calls need a key for good, so nobody gets in until another is made.
    """

    async def is_last(database: Database, settings: Settings) -> bool:
        valid = {key.name for key in await ApiKeyStore(database).all() if key.revoked_at is None}
        return valid == {name} and not settings.fixed_keys

    if not yes and on_database(is_last):
        _ask(f"{name} is the last key: without it nobody can call, until `keys create` makes one.")

    async def end(database: Database, settings: Settings) -> ApiKey | None:
        changes = RecordedChanges(database, await audit_trail(database, settings))
        return await changes.make(
            partial(ApiKeyStore(database).revoke, name),
            lambda _: Event("api_key.revoked", fields=[name]),
            None,
        )

    key = on_database(end)
    if key is None:
        raise SystemExit(
            f"finlink: the database has no key {name}; `keys list` shows all. "
            "Remove a key of API_KEYS from that setting"
        )
    print(f"{name} was already revoked" if key.revoked_at else f"{name} is revoked")


@keys.command()
def reset(yes: Yes = False) -> None:
    """Remove all keys of the database, so that anyone may call again; refused in production."""

    async def remove(database: Database, settings: Settings) -> int:
        if settings.production:
            raise ConfigError("production needs API keys; make a new one with `keys create`")
        changes = RecordedChanges(database, await audit_trail(database, settings))
        return await changes.make(
            ApiKeyStore(database).remove_all,
            lambda removed: Event("api_key.reset", fields=[str(removed)]),
            None,
        )

    if not yes:
        _ask("The API keys of the database are removed: without API_KEYS anyone may call.")
    print(f"{on_database(remove)} removed")


def _ask(consequence: str) -> None:
    """Raises SystemExit where a person says no, or nobody is there to be asked."""
    if not sys.stdin.isatty():
        raise SystemExit(f"finlink: {consequence} To do it all the same add --yes")
    typer.confirm(f"{consequence} Do it?", abort=True)


def _row(key: ApiKey, source: str) -> dict[str, object]:
    moments = {"created": key.created_at, "revoked": key.revoked_at}
    shown = {name: at.isoformat(timespec="seconds") if at else None for name, at in moments.items()}
    return {"name": key.name, "scope": key.scope.name.lower(), **shown, "from": source}
