"""The one place that knows which MongoDB driver runs: PyMongo's own asyncio API, or Motor.

Stores are written against PyMongo's asyncio API. Motor's is the same but for which calls have to be
awaited; those differences are the methods of `Database`.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, TypeAlias, TypeVar

from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from server.config import Settings
from server.idempotency import keyed_call

Document: TypeAlias = dict[str, Any]
Collection: TypeAlias = AsyncCollection[Document]
Session: TypeAlias = AsyncClientSession
T = TypeVar("T")

_ABORT_SECONDS = 0.5
_TRANSIENT = "TransientTransactionError"
_UNKNOWN_COMMIT = "UnknownTransactionCommitResult"
_AWARE: CodecOptions[Document] = CodecOptions(tz_aware=True)


async def _settled(value: Any) -> Any:
    """The value itself, or what it resolves to: some calls are coroutines in one driver only."""
    return await value if inspect.isawaitable(value) else value


class Database:
    """A database and its client, the same whichever driver is behind it."""

    def __init__(self, client: Any, name: str, patience: float) -> None:
        """`patience`: for how many seconds a transaction is tried again."""
        self._client = client
        self._patience = patience
        self._database = client.get_database(name, codec_options=_AWARE)

    def collection(self, name: str) -> Collection:
        """The named collection; its times come back as aware datetimes in UTC."""
        collection: Collection = self._database[name]
        return collection

    async def aggregate(
        self, collection: Collection, pipeline: Sequence[Mapping[str, Any]]
    ) -> list[Document]:
        """All documents a pipeline gives."""
        cursor = await _settled(collection.aggregate(list(pipeline)))
        documents: list[Document] = await cursor.to_list(None)
        return documents

    async def transact(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run `work` in a transaction, again from its start where MongoDB asks for that.

        The driver's own helper goes on for two minutes; here it ends after `patience`, so that a caller
        is told in time and nothing happens long after. `work` may run several times.
        """
        give_up = time.monotonic() + self._patience
        async with await _settled(self._client.start_session()) as session:
            while True:
                try:
                    await _settled(
                        session.start_transaction(
                            read_concern=ReadConcern("snapshot"),
                            write_concern=WriteConcern("majority"),
                        )
                    )
                    result = await work(session)
                    await self._commit(session, give_up)
                except BaseException as error:
                    if session.in_transaction:
                        # MongoDB ends it too, later; the caller need not wait for that.
                        with suppress(PyMongoError, TimeoutError):
                            async with asyncio.timeout(_ABORT_SECONDS):
                                await session.abort_transaction()
                    again = isinstance(error, PyMongoError) and error.has_error_label(_TRANSIENT)
                    if not again or time.monotonic() >= give_up:
                        raise
                else:
                    return result

    async def change(self, work: Callable[[Session | None], Awaitable[T]]) -> T:
        """Run the writes that a call is about; with an idempotency key, in one transaction with its answer.

        `work` gives what the use case does, for `idempotency.answered`; None where nothing was
        changed after all. With a session it may run several times.
        """
        call = keyed_call()
        if call is None:
            return await work(None)

        async def with_answer(session: Session) -> T:
            result = await work(session)
            if result is not None:
                await call.keep(result, session)
            return result

        return await self.transact(with_answer)

    async def change_together(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """The same for writes that need a transaction in any case."""

        async def in_transaction(session: Session | None) -> T:
            return await (self.transact(work) if session is None else work(session))

        return await self.change(in_transaction)

    async def _commit(self, session: Session, give_up: float) -> None:
        """Commit; where it is unknown whether that worked, committing again is safe."""
        while True:
            try:
                await session.commit_transaction()
            except PyMongoError as error:
                if not error.has_error_label(_UNKNOWN_COMMIT) or time.monotonic() >= give_up:
                    raise
            else:
                return

    async def command(self, command: Mapping[str, Any]) -> None:
        """Run a database command."""
        await self._database.command(command)

    async def ping(self) -> None:
        """Raises a driver error where the server does not answer."""
        await self._client.admin.command("ping")

    async def drop(self) -> None:
        """Remove the whole database: for tests."""
        await self._client.drop_database(self._database.name)

    async def close(self) -> None:
        await _settled(self._client.close())


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Database]:
    """The configured database through the configured driver, closed at the end.

    Writes wait for a majority and are retried once by the driver; every operation ends within
    `mongo_timeout_ms`.
    """
    if settings.mongodb_uri is None:
        raise ValueError("no MONGODB_URI")
    timeout = settings.mongo_timeout_ms
    client = _client_class(settings.mongo_driver)(
        settings.mongodb_uri.get_secret_value(),
        appname="finlink",
        w="majority",
        retryWrites=True,
        retryReads=True,
        timeoutMS=timeout,
        serverSelectionTimeoutMS=timeout,
        connectTimeoutMS=timeout,
        maxPoolSize=settings.mongo_pool_size,
        minPoolSize=2,
    )
    database = Database(client, settings.database, timeout / 1000)
    try:
        yield database
    finally:
        await database.close()


def _client_class(driver: Literal["pymongo", "motor"]) -> Callable[..., Any]:
    if driver == "pymongo":
        return AsyncMongoClient
    with warnings.catch_warnings():
        # Its makers deprecated it in favour of PyMongo's own API; here it is an option on purpose.
        warnings.simplefilter("ignore", DeprecationWarning)
        from motor.motor_asyncio import AsyncIOMotorClient  # noqa: PLC0415
    motor: Callable[..., Any] = AsyncIOMotorClient
    return motor
