"""Collections and indexes, created at start; creating them again changes nothing."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress

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

    Each may take so many seconds. A TTL index whose time was changed in the settings is changed in place.
    """
    for name, models in indexes.items():
        collection = database.collection(name)
        there = await collection.index_information()
        for model in models:
            known = model.document["name"] in there
            try:
                with nullcontext() if known else timeout(build_seconds):
                    await collection.create_indexes([model])
            except OperationFailure as error:
                wanted = model.document
                if error.code != _OPTIONS_CONFLICT or "expireAfterSeconds" not in wanted:
                    raise
                change = {key: wanted[key] for key in ("name", "expireAfterSeconds")}
                await database.command({"collMod": name, "index": change})
