"""The one place that knows which MongoDB driver runs: PyMongo's own asyncio API, or Motor.

Stores are written against PyMongo's asyncio API. Motor's is the same but for which calls have to be
awaited; those differences are the methods of `Database`.
"""

import asyncio
import inspect
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Literal, TypeAlias, TypeVar

from bson.codec_options import CodecOptions
from bson.timestamp import Timestamp
from pymongo import AsyncMongoClient, ReadPreference, timeout
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from server.config import ConfigError, Settings
from server.core.clock import milliseconds
from server.storage.address import members_of, unusable
from server.storage.change_stream import STREAM_SECONDS, ChangeStream, StreamEnded, token_checked
from server.storage.monitoring import Commands, Connections

Document: TypeAlias = dict[str, Any]
Collection: TypeAlias = AsyncCollection[Document]
ClientSession: TypeAlias = AsyncClientSession
T = TypeVar("T")

_ABORT_SECONDS = 0.5
_TRANSIENT = "TransientTransactionError"
_UNKNOWN_COMMIT = "UnknownTransactionCommitResult"
_STREAM_BATCH = 100  # changes at a time
_DUPLICATE_KEY = 11000
_AWARE: CodecOptions[Document] = CodecOptions(tz_aware=True)


async def _settled(value: Any) -> Any:
    """The value itself, or what it resolves to: some calls are coroutines in one driver only."""
    return await value if inspect.isawaitable(value) else value


class TransactionAborted(Exception):
    """A transaction failed and left nothing. Its cause says why."""


async def insert(
    collection: Collection, documents: Sequence[Document], session: ClientSession | None = None
) -> None:
    """Insert one or many. Raises DuplicateKeyError, as for one."""
    if len(documents) == 1:
        await collection.insert_one(documents[0], session=session)
        return
    try:
        await collection.insert_many(documents, session=session)
    except BulkWriteError as error:
        for each in error.details.get("writeErrors", ()):
            if each["code"] == _DUPLICATE_KEY:
                raise DuplicateKeyError(each["errmsg"], each["code"], each) from error
        raise


class Database:
    """A database and its client, the same whichever driver is behind it."""

    def __init__(self, client: Any, name: str, transaction_seconds: float) -> None:
        """`transaction_seconds`: for how many seconds a transaction is tried again."""
        self._client = client
        self.transaction_seconds = transaction_seconds
        self._database = client.get_database(
            name, codec_options=_AWARE, read_preference=ReadPreference.PRIMARY
        )

    def collection(self, name: str, *, allow_stale: bool = False) -> Collection:
        """The named collection; its times come back as aware datetimes in UTC.

        It is read from the primary. `allow_stale`: from where the URI's `readPreference` says, so with
        `primaryPreferred` also while there is no primary. Such a read may miss the last writes, so
        nothing must be decided by it that is not checked again by the write.
        """
        preference = self._client.read_preference if allow_stale else ReadPreference.PRIMARY
        collection: Collection = self._database.get_collection(name, read_preference=preference)
        return collection

    async def aggregate(
        self,
        collection: Collection,
        pipeline: Sequence[Mapping[str, Any]],
        *,
        hint: str | None = None,
        snapshot: bool = False,
    ) -> list[Document]:
        """All documents a pipeline gives; with `snapshot` as they were at one moment, all collections of it.

        `hint` is the name of the index to use.
        """
        if snapshot:
            collection = collection.with_options(read_concern=ReadConcern("snapshot"))
        options: dict[str, Any] = {"hint": hint} if hint else {}
        cursor = await _settled(collection.aggregate(list(pipeline), **options))
        documents: list[Document] = await cursor.to_list(None)
        return documents

    async def last_write(self) -> Timestamp:
        """The moment of MongoDB's log that its last write has."""
        reply = await self._client.admin.command("ping")
        moment: Timestamp = reply["operationTime"]
        return moment

    @asynccontextmanager
    async def watch(
        self,
        collection: Collection,
        pipeline: Sequence[Mapping[str, Any]],
        after: str | Timestamp | None,
        wait: timedelta,
    ) -> AsyncIterator[ChangeStream]:
        """The changes of a collection with the documents before and after each.

        They begin after a place, with a moment of the log, or now.

        The collection must keep images; see `indexes.ensure_images`. `wait` is for how long MongoDB
        lets a poll for changes wait before it replies that there are none. Raises ResumeTokenLost.
        """
        with timeout(STREAM_SECONDS), token_checked():
            opening = await _settled(
                collection.watch(
                    list(pipeline),
                    full_document="required",
                    full_document_before_change="required",
                    resume_after={"_data": after} if isinstance(after, str) else None,
                    start_at_operation_time=after if isinstance(after, Timestamp) else None,
                    max_await_time_ms=milliseconds(wait),
                    batch_size=_STREAM_BATCH,
                )
            )
            stream = await opening.__aenter__()  # where Motor opens it
        try:
            yield ChangeStream(stream)
        finally:
            with suppress(PyMongoError):  # what is left of it MongoDB closes in time
                await stream.close()

    @asynccontextmanager
    async def feed(
        self, pipeline: Sequence[Mapping[str, Any]], wait: timedelta
    ) -> AsyncIterator[Callable[[], Awaitable[list[Document]]]]:
        """All changes of the database from now on; each call gives what there is after the last one.

        It gives an empty list where there is nothing for `wait`. Only the primary is asked, and nothing
        is taken up again: whatever interrupts it is raised, so that who follows knows of every gap. For
        a database of `connected_for_feed`.
        """
        async with await _settled(self._client.start_session()) as session:
            stages = [{"$changeStream": {}}, *pipeline]
            opening = {"aggregate": 1, "pipeline": stages, "cursor": {}}
            reply = await self._database.command(opening, session=session)
            waiting = list(reply["cursor"]["firstBatch"])
            cursor = reply["cursor"]["id"]
            more = {
                "getMore": cursor,
                "collection": "$cmd.aggregate",
                "maxTimeMS": milliseconds(wait),
            }

            async def ask() -> list[Document]:
                nonlocal waiting
                if waiting:
                    batch, waiting = waiting, []
                    return batch
                reply = await self._database.command(more, session=session)
                if not reply["cursor"]["id"]:
                    raise StreamEnded("the change stream was closed")
                given: list[Document] = reply["cursor"]["nextBatch"]
                return given

            try:
                yield ask
            finally:
                with suppress(PyMongoError, TimeoutError):  # what is left MongoDB closes in time
                    async with asyncio.timeout(_ABORT_SECONDS):
                        closing = {"killCursors": "$cmd.aggregate", "cursors": [cursor]}
                        await self._database.command(closing, session=session)

    async def transact(
        self,
        work: Callable[[ClientSession], Awaitable[T]],
        *,
        deadline: float | None = None,
        once: bool = False,
    ) -> T:
        """Run `work` in a transaction, again from its start where MongoDB asks for that.

        The driver's own helper goes on for two minutes; here it ends after `transaction_seconds`, or at
        `deadline` on the monotonic clock, so that a caller gets a reply in time and nothing happens after it.
        `work` may run several times. With `once` it does not: TransactionAborted is raised where nothing is
        left of it; any other error then says that it may have been committed.
        """
        if deadline is None:
            deadline = time.monotonic() + self.transaction_seconds
        while True:
            committing = False
            # Each try has its own session: an abort may still be under way in the one before.
            async with await _settled(self._client.start_session()) as session:
                try:
                    await _settled(
                        session.start_transaction(
                            read_concern=ReadConcern("snapshot"),
                            write_concern=WriteConcern("majority"),
                            read_preference=ReadPreference.PRIMARY,  # MongoDB allows no other
                        )
                    )
                    result = await work(session)
                    committing = True
                    await self._commit(session, deadline)
                except BaseException as error:
                    if session.in_transaction:
                        # MongoDB ends it too, in time; the caller need not wait for that.
                        with suppress(PyMongoError, TimeoutError):
                            async with asyncio.timeout(_ABORT_SECONDS):
                                await session.abort_transaction()
                    again = isinstance(error, PyMongoError) and error.has_error_label(_TRANSIENT)
                    if once and isinstance(error, Exception) and (again or not committing):
                        raise TransactionAborted from error
                    if once or not again or time.monotonic() >= deadline:
                        raise
                else:
                    return result

    async def _commit(self, session: ClientSession, deadline: float) -> None:
        """Commit; where it is unknown whether that worked, committing again is safe."""
        while True:
            try:
                await session.commit_transaction()
            except PyMongoError as error:
                if not error.has_error_label(_UNKNOWN_COMMIT) or time.monotonic() >= deadline:
                    raise
            else:
                return

    async def command(self, command: Mapping[str, Any]) -> None:
        await self._database.command(command)

    async def ping(self) -> None:
        """Raises a driver error if no member replies that may be read from."""
        preference = self._client.read_preference
        try:
            await self._client.admin.command("ping", read_preference=preference)
        except AutoReconnect:
            # It was asked as it died, which the driver knows by now; another one may reply.
            await self._client.admin.command("ping", read_preference=preference)

    async def names(self) -> list[str]:
        """Of the collections, MongoDB's own left out."""
        found: list[str] = await self._database.list_collection_names()
        return sorted(name for name in found if not name.startswith("system."))

    @asynccontextmanager
    async def at_one_moment(self) -> AsyncIterator[ClientSession]:
        """All reads in this session, outside of transactions, see the state of the first one.

        MongoDB keeps that for five minutes, or as long as it is set to (`minSnapshotHistoryWindowInSeconds`).
        """
        async with await _settled(self._client.start_session(snapshot=True)) as session:
            yield session

    async def drop(self) -> None:
        await self._client.drop_database(self._database.name)


def connected(settings: Settings) -> AbstractAsyncContextManager[Database]:
    """The configured database through the configured driver, closed at the end.

    Writes wait for a majority and are retried once by the driver; every operation ends within
    `mongo_timeout_ms`. Raises ConfigError for an address that the driver could not use.
    """
    most = settings.mongo_pool_size
    timeout = settings.mongo_timeout_ms
    return _connected(settings, timeoutMS=timeout, maxPoolSize=most, minPoolSize=min(2, most))


def connected_for_feed(settings: Settings) -> AbstractAsyncContextManager[Database]:
    """The same for `Database.feed` alone, whose questions set themselves how long they take.

    With a time-out of all operations the driver would put that in place of it.
    """
    return _connected(settings, socketTimeoutMS=settings.mongo_timeout_ms, maxPoolSize=1)


@asynccontextmanager
async def _connected(settings: Settings, **options: int) -> AsyncIterator[Database]:
    if settings.mongodb_uri is None:
        raise ValueError("no MONGODB_URI")
    timeout = settings.mongo_timeout_ms
    uri = settings.mongodb_uri.get_secret_value()
    members_of(uri)
    try:
        client = _client_class(settings.mongo_driver)(
            uri,
            appname="finlink",
            w="majority",
            retryWrites=True,
            retryReads=True,
            serverSelectionTimeoutMS=timeout,
            connectTimeoutMS=timeout,
            event_listeners=[Commands(), Connections()],
            **options,
        )
    except Exception as error:  # noqa: BLE001 - it has many kinds for a wrong address
        raise ConfigError(unusable(error)) from None
    try:
        yield Database(client, settings.database, timeout / 1000)
    finally:
        await _settled(client.close())


def _client_class(driver: Literal["pymongo", "motor"]) -> Callable[..., Any]:
    if driver == "pymongo":
        return AsyncMongoClient
    with warnings.catch_warnings():
        # Its makers deprecated it in favour of PyMongo's own API; here it is an option on purpose.
        warnings.simplefilter("ignore", DeprecationWarning)
        from motor.motor_asyncio import AsyncIOMotorClient  # noqa: PLC0415
    motor: Callable[..., Any] = AsyncIOMotorClient
    return motor
