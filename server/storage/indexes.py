"""Collections and indexes, created at start; creating them again changes nothing."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from pymongo import IndexModel, timeout
from pymongo.errors import OperationFailure

from server.storage.driver import Database
from server.storage.errors import translate

_OPTIONS_CONFLICT = 85
BUILD_SECONDS = 600.0  # for an index of a large collection, which is served meanwhile
_IMAGES = "changeStreamPreAndPostImages"


class NoImages(Exception):
    """MongoDB cannot keep the documents before and after each change, or may not for this user."""


async def ensure_images(database: Database, names: Sequence[str]) -> None:
    """Have MongoDB keep the documents before and after each change of these collections, for watching.

    Raises NoImages.
    """
    for name in names:
        options = await database.collection(name).options()
        if not options.get(_IMAGES, {}).get("enabled"):
            try:
                await database.command({"collMod": name, _IMAGES: {"enabled": True}})
            except OperationFailure as error:
                if translate(error) is not None:  # it passes
                    raise
                raise NoImages(str(error.code)) from error


async def drop_indexes(database: Database, names: Mapping[str, Sequence[str]]) -> None:
    """Remove what another index has taken the place of, by collection; nothing where it is gone."""
    for name, retired in names.items():
        there = await database.collection(name).index_information()
        for index in retired:
            if index in there:
                with suppress(OperationFailure):  # another process was first
                    await database.collection(name).drop_index(index)


async def ensure_indexes(
    database: Database,
    indexes: Mapping[str, Sequence[IndexModel]],
    build_seconds: float = BUILD_SECONDS,
) -> None:
    """Create what is missing. `indexes` maps each collection to its indexes.

    Those that a collection lacks are built together, and each adds so many seconds to what that may take. A
    TTL index whose time was changed in the settings is changed in place.
    """
    for name, models in indexes.items():
        if not models:
            continue
        there = await database.collection(name).index_information()
        known = [model for model in models if model.document["name"] in there]
        if missing := [model for model in models if model not in known]:
            with timeout(build_seconds * len(missing)):
                await _create(database, name, missing)
        if known:
            await _create(database, name, known)


async def _create(database: Database, name: str, models: Sequence[IndexModel]) -> None:
    try:
        await database.collection(name).create_indexes(list(models))
    except OperationFailure as error:
        if error.code != _OPTIONS_CONFLICT:
            raise
        if len(models) > 1:  # one of them
            for model in models:
                await _create(database, name, [model])
            return
        wanted = models[0].document
        if "expireAfterSeconds" not in wanted:
            raise
        change = {key: wanted[key] for key in ("name", "expireAfterSeconds")}
        await database.command({"collMod": name, "index": change})
