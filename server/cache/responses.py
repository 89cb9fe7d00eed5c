"""Answers of hot reads, kept as the bytes that are sent.

An answer is given again only while nothing that it shows has changed. Three things tell of changes:

- Generations: a table of numbers that all workers of a host share (`cache/generations.py`). Each user
  has a place in it. Whoever changes what is held on a user puts a new number there before anybody is
  answered that it is done.
- The feed (`storage/cache_feed.py`): what MongoDB has committed, whoever wrote it. It names documents,
  and an answer knows which ones it shows. While the feed is not heard from, nothing is given.
- The clock, where an answer says for how long something has lasted; and each answer is read anew after
  ten minutes.

What generations and feed say is taken before anything that an answer shows is read, so a change that
happens meanwhile is noticed as well.
"""

from __future__ import annotations

import math
import time
import zlib
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PLACES = 1 << 16  # of users in the table; users who share one only lose an answer too many
EVERYBODY = PLACES  # the place after those: a number for all
# However sure: an election may have let a member be read that had not caught up.
LONGEST_SECONDS = 600.0
_OVERHEAD = 500  # bytes of an entry, about, beside its key and answer


def place_of(name: str) -> int:
    """The place of a user or document; the same in every process."""
    return zlib.crc32(name.encode()) % PLACES


def is_changing(number: int) -> bool:
    """Whether a number of the table says that a change is being committed just now."""
    return bool(number & 1)


@dataclass(frozen=True, slots=True)
class Shown:
    """What an answer shows: documents by their ids, and until when it is right (seconds, POSIX)."""

    documents: Sequence[str]
    until: float = math.inf


@dataclass(frozen=True, slots=True)
class Moment:
    """What was known of a user before an answer was made."""

    user_id: str
    place: int
    generation: int
    everybody: int
    news: int
    opening: int


@dataclass(slots=True)
class _Entry:
    answer: bytes
    place: int
    generation: int
    everybody: int
    news: int  # up to which nothing of it was named
    named: tuple[int, ...]  # places of what the feed may name
    until: float


class AnswerCache:
    """Holds about `limit` bytes; what was not asked for longest goes first."""

    def __init__(self, numbers: Sequence[int], limit: int) -> None:
        self._numbers = numbers
        self._limit = limit
        self._entries: OrderedDict[tuple[str, bytes], _Entry] = OrderedDict()
        self._named = array("Q", bytes(8 * PLACES))  # when the feed named a place last
        self._news = 0  # counts what the feed has named
        self._opening = 0  # counts how often all was dropped
        self._good_until = -math.inf  # as `time.monotonic` has it
        self.size = 0
        self.hits = self.misses = self.dropped = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, method: str, request: bytes) -> bytes | None:
        """The answer to a request, None where none is right."""
        key = (method, request)
        entry = self._entries.get(key)
        if entry is None or self._good_until <= time.monotonic():
            self.misses += 1
            return None
        if not self._holds(entry):
            self._remove(key)
            self.misses += 1
            return None
        self._entries.move_to_end(key)
        self.hits += 1
        return entry.answer

    def _holds(self, entry: _Entry) -> bool:
        numbers = self._numbers
        if numbers[entry.place] != entry.generation or numbers[EVERYBODY] != entry.everybody:
            return False
        if entry.until <= time.time():
            return False
        if entry.news != self._news:
            if self._was_named(entry.named, entry.news):
                return False
            entry.news = self._news  # the next one need not look again
        return True

    def _was_named(self, places: Iterable[int], since: int) -> bool:
        return any(self._named[place] > since for place in places)

    def moment(self, user_id: str) -> Moment | None:
        """To be taken before an answer about a user is made; None where it could not be kept."""
        place = place_of(user_id)
        generation = self._numbers[place]
        if is_changing(generation) or self._good_until <= time.monotonic():
            return None
        everybody = self._numbers[EVERYBODY]
        return Moment(user_id, place, generation, everybody, self._news, self._opening)

    def put(self, method: str, request: bytes, answer: bytes, since: Moment, shown: Shown) -> None:
        """Keep an answer, unless something of it has changed since that moment."""
        entry = _Entry(
            answer,
            since.place,
            since.generation,
            since.everybody,
            since.news,
            (since.place, *map(place_of, shown.documents)),
            min(shown.until, time.time() + LONGEST_SECONDS),
        )
        size = _size(request, answer)
        if since.opening != self._opening or size > self._limit or not self._holds(entry):
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
        self.size -= _size(key[1], entry.answer)
        self.dropped += 1

    # What the feed says

    def heard(self, good_until: float) -> None:
        """Everything that was committed is known; answers may be given until then (`time.monotonic`)."""
        self._good_until = good_until

    def name(self, names: Iterable[str]) -> None:
        """These documents, or what belongs to these users, have changed."""
        self._news += 1
        for name in names:
            self._named[place_of(name)] = self._news

    def drop_all(self) -> None:
        """Forget everything, also what is being read; give nothing until the feed is heard again."""
        self._good_until = -math.inf
        self._opening += 1
        self.dropped += len(self._entries)
        self._entries.clear()
        self.size = 0


def _size(request: bytes, answer: bytes) -> int:
    return len(request) + len(answer) + _OVERHEAD
