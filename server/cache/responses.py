"""Replies to hot reads, cached as the bytes that are sent, and what reports changes of them; see README.md.

The state of generations and feed is noted before anything that a reply shows is read, so a change that
happens during the read is noticed as well.
"""

import math
import time
import zlib
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PLACES = 1 << 16  # of users in the table; users who share one only lose a reply too many
EVERYBODY = PLACES  # the place after those: a number for all
# However sure: an election may have let a member be read that had not caught up.
LONGEST_SECONDS = 600.0
_OVERHEAD = 500  # bytes of an entry, about, beside its key and reply


def place_of(name: str) -> int:
    """The place of a user or document; the same in every process."""
    return zlib.crc32(name.encode()) % PLACES


def is_changing(number: int) -> bool:
    """Whether a number of the table says that a change is being committed just now."""
    return bool(number & 1)


@dataclass(frozen=True, slots=True)
class Shown:
    """The documents that a reply shows, by their ids, and the time until which it is current (seconds,
    POSIX)."""

    documents: Sequence[str]
    until: float = math.inf


@dataclass(frozen=True, slots=True)
class VersionStamp:
    """The state of generations and feed before a reply about a user was made."""

    user_id: str
    place: int
    generation: int
    everybody: int  # the generation of all
    reports: int  # how many the feed had made


@dataclass(slots=True)
class CachedResponse:
    reply: bytes
    stamp: VersionStamp
    documents: tuple[int, ...]  # places of what the feed may name
    until: float
    reports: int  # up to this one the feed has named none of them

    @property
    def user_id(self) -> str:
        """Whose it is."""
        return self.stamp.user_id


class ResponseCache:
    """Holds about `limit` bytes; the reply that was not asked for longest goes first."""

    def __init__(self, numbers: Sequence[int], limit: int) -> None:
        self._numbers = numbers
        self._limit = limit
        self._entries: OrderedDict[tuple[str, bytes], CachedResponse] = OrderedDict()
        self._named = array("Q", bytes(8 * PLACES))  # the last report that named a place
        self._reports = 0
        self._lost = 0  # the report with which everything was dropped last
        self._good_until = -math.inf  # as `time.monotonic` has it
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, method: str, request: bytes) -> CachedResponse | None:
        """The reply that is cached for a request, with whose it is; None if there is no current one."""
        key = (method, request)
        entry = self._entries.get(key)
        if entry is None or self._good_until <= time.monotonic():
            return None
        if not self._is_right(entry):
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def _is_right(self, entry: CachedResponse) -> bool:
        numbers, stamp = self._numbers, entry.stamp
        if numbers[stamp.place] != stamp.generation or numbers[EVERYBODY] != stamp.everybody:
            return False
        if entry.until <= time.time():
            return False
        if entry.reports != self._reports:
            if any(self._named[place] > entry.reports for place in entry.documents):
                return False
            entry.reports = self._reports  # the next one need not look again
        return True

    def stamp(self, user_id: str) -> VersionStamp | None:
        """To be taken before a reply about a user is made; None if it could not be cached."""
        place = place_of(user_id)
        generation = self._numbers[place]
        if is_changing(generation) or self._good_until <= time.monotonic():
            return None
        return VersionStamp(user_id, place, generation, self._numbers[EVERYBODY], self._reports)

    def put(
        self, method: str, request: bytes, reply: bytes, stamp: VersionStamp, shown: Shown
    ) -> None:
        """Cache a reply, unless something of it has changed since the stamp was taken."""
        documents = (stamp.place, *map(place_of, shown.documents))
        until = min(shown.until, time.time() + LONGEST_SECONDS)
        entry = CachedResponse(reply, stamp, documents, until, stamp.reports)
        size = _size(request, reply)
        if stamp.reports < self._lost or size > self._limit or not self._is_right(entry):
            return
        key = (method, request)
        if key in self._entries:
            self._remove(key)
        self._entries[key] = entry
        self.size += size
        while self.size > self._limit:
            self._remove(next(iter(self._entries)))

    def _remove(self, key: tuple[str, bytes]) -> None:
        entry = self._entries.pop(key)
        self.size -= _size(key[1], entry.reply)

    def heard(self, good_until: float) -> None:
        """Everything that was committed is known; replies may be returned until then (`time.monotonic`)."""
        self._good_until = good_until

    def name(self, names: Iterable[str]) -> None:
        """These documents, or what belongs to these users, have changed."""
        self._reports += 1
        for name in names:
            self._named[place_of(name)] = self._reports

    def drop_all(self) -> None:
        """Forget everything, also what is being read; return nothing until the feed is heard again."""
        self._good_until = -math.inf
        self._reports += 1
        self._lost = self._reports
        self._entries.clear()
        self.size = 0


def _size(request: bytes, reply: bytes) -> int:
    return len(request) + len(reply) + _OVERHEAD
