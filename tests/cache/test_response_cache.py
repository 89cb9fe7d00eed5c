"""The response cache: it never returns what is known to be over, whoever changed it and in whatever order."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from server.cache.generations import Generations
from server.cache.responses import EVERYBODY, ResponseCache, Shown, place_of

METHOD = "/users/Get"
USERS = ("ann", "bob")
WORKERS = (0, 1)
A_REPLY = 500 + 20  # bytes, about


def cache(limit: int = 100_000) -> tuple[Generations, ResponseCache]:
    generations = Generations()
    made = ResponseCache(generations.numbers, limit)
    made.heard(math.inf)
    return generations, made


def reply(kept: ResponseCache, request: bytes) -> bytes | None:
    entry = kept.get(METHOD, request)
    return entry.reply if entry else None


def keep(kept: ResponseCache, user: str, reply: bytes, shown: Shown | None = None) -> None:
    stamp = kept.stamp(user)
    assert stamp is not None
    kept.put(METHOD, user.encode(), reply, stamp, shown or Shown([f"document of {user}"]))


def test_a_reply_is_given_again_until_its_user_changes() -> None:
    generations, kept = cache()
    keep(kept, "ann", b"1")
    keep(kept, "bob", b"1")
    assert reply(kept, b"ann") == b"1"
    assert kept.get("/users/Other", b"ann") is None
    with generations.changing("ann"):
        assert kept.get(METHOD, b"ann") is None
        assert kept.stamp("ann") is None
    assert kept.get(METHOD, b"ann") is None
    assert reply(kept, b"bob") == b"1"


def test_what_a_commit_turns_out_to_be_about_is_dropped_also_where_it_fails() -> None:
    generations, kept = cache()
    keep(kept, "ann", b"1")
    try:
        with generations.committing() as opening:
            opening("ann")
            raise TimeoutError
    except TimeoutError:
        pass
    assert kept.get(METHOD, b"ann") is None
    assert kept.stamp("ann") is not None


def test_where_nobody_knows_whose_change_it_was_everything_is_dropped() -> None:
    generations, kept = cache()
    keep(kept, "ann", b"1")
    keep(kept, "bob", b"1")
    generations.close_one_or_all("ann")
    assert kept.get(METHOD, b"ann") is None
    assert reply(kept, b"bob") == b"1"
    generations.close_one_or_all(None)
    assert kept.get(METHOD, b"bob") is None


def test_workers_share_a_table_and_what_a_dead_one_left_open_is_closed(tmp_path: Path) -> None:
    first, second = Generations(tmp_path / "table"), Generations(tmp_path / "table")
    seen = ResponseCache(second.numbers, 100_000)
    seen.heard(math.inf)
    keep(seen, "ann", b"1")
    keep(seen, "bob", b"1")
    first.open("ann")
    assert seen.get(METHOD, b"ann") is None
    assert seen.stamp("ann") is None
    Generations(tmp_path / "table")  # a worker starts after the first has died
    assert seen.stamp("ann") is not None
    assert seen.get(METHOD, b"ann") is None
    assert reply(seen, b"bob") == b"1"


def test_nothing_is_given_or_kept_while_the_feed_is_silent() -> None:
    _, kept = cache()
    keep(kept, "ann", b"1")
    kept.heard(time.monotonic() - 0.001)
    assert kept.get(METHOD, b"ann") is None
    assert kept.stamp("ann") is None
    kept.heard(math.inf)
    assert reply(kept, b"ann") == b"1"  # the feed has missed nothing


def test_what_was_being_read_when_the_feed_was_lost_is_not_kept() -> None:
    _, kept = cache()
    stamp = kept.stamp("ann")
    assert stamp is not None
    kept.drop_all()
    kept.heard(math.inf)
    kept.put(METHOD, b"ann", b"1", stamp, Shown([]))
    assert kept.get(METHOD, b"ann") is None


def test_a_reply_that_says_how_long_something_has_lasted_ends_by_the_clock() -> None:
    _, kept = cache()
    keep(kept, "ann", b"1", Shown([], until=time.time() - 0.001))
    keep(kept, "bob", b"1", Shown([], until=time.time() + 60))
    assert kept.get(METHOD, b"ann") is None
    assert reply(kept, b"bob") == b"1"


def test_memory_has_a_bound_and_what_is_asked_for_stays() -> None:
    _, kept = cache(limit=10 * A_REPLY)
    for number in range(1_000):
        keep(kept, f"user{number}", b"a")
        keep(kept, "ann", b"1") if number == 0 else kept.get(METHOD, b"ann")
        assert kept.size <= 10 * A_REPLY
    assert 5 <= len(kept) <= 10
    assert reply(kept, b"ann") == b"1"
    keep(kept, "big", b"a" * 20 * A_REPLY)
    assert kept.get(METHOD, b"big") is None
    kept.drop_all()
    assert (len(kept), kept.size) == (0, 0)


def test_users_and_the_number_for_all_have_places_of_their_own() -> None:
    assert place_of("ann") == 29_299  # of every process and release: they share a table
    assert all(place_of(f"user{number}") < EVERYBODY for number in range(100_000))


@dataclass
class Worker:
    cache: ResponseCache
    news: list[str] = field(default_factory=list)  # what its feed has not told it yet
    known: dict[str, int] = field(default_factory=dict)  # versions as of when it was told all


@dataclass
class Reading:
    worker: Worker
    user: str
    version: int | None = None

    def __post_init__(self) -> None:
        self.moment = self.worker.cache.stamp(self.user)


@dataclass
class Writing:
    user: str
    version: int | None = None  # once it is committed


class Coherence(RuleBasedStateMachine):
    """Two workers of a host, writers of theirs that may die, and writers elsewhere.

    What a reader gets is never older than what a writer of the host was answered, nor than what the
    feed of the reader's worker has told.
    """

    @initialize()
    def begin(self) -> None:
        self.generations = Generations()
        self.versions = dict.fromkeys(USERS, 0)
        self.replied = dict.fromkeys(USERS, 0)
        self.workers = [
            Worker(ResponseCache(self.generations.numbers, 3 * A_REPLY)) for _ in WORKERS
        ]
        for worker in self.workers:
            self.hear(worker)
        self.readings: list[Reading] = []
        self.writings: list[Writing] = []

    def hear(self, worker: Worker) -> None:
        worker.cache.name(worker.news)
        worker.news.clear()
        worker.cache.heard(math.inf)
        worker.known = dict(self.versions)

    def commit(self, user: str) -> int:
        self.versions[user] += 1
        for worker in self.workers:
            worker.news.append(f"document of {user}")
        return self.versions[user]

    @rule(which=st.sampled_from(WORKERS), user=st.sampled_from(USERS))
    def ask(self, which: int, user: str) -> None:
        worker = self.workers[which]
        response = reply(worker.cache, user.encode())
        if response is not None:
            assert int(response) >= max(self.replied[user], worker.known.get(user, 0))

    @rule(which=st.sampled_from(WORKERS), user=st.sampled_from(USERS))
    def begin_to_read(self, which: int, user: str) -> None:
        self.readings.append(Reading(self.workers[which], user))

    @precondition(lambda self: self.readings)
    @rule(data=st.data())
    def read_on(self, data: st.DataObject) -> None:
        self.go_on_reading(data.draw(st.sampled_from(self.readings)))

    @rule(which=st.sampled_from(WORKERS), user=st.sampled_from(USERS))
    def read_at_once(self, which: int, user: str) -> None:
        self.begin_to_read(which, user)
        self.go_on_reading(self.readings[-1])
        self.go_on_reading(self.readings[-1])

    def go_on_reading(self, reading: Reading) -> None:
        if reading.version is None:
            reading.version = self.versions[reading.user]
            return
        self.readings.remove(reading)
        if reading.moment is not None:
            response, shown = str(reading.version).encode(), Shown([f"document of {reading.user}"])
            request = reading.user.encode()
            reading.worker.cache.put(METHOD, request, response, reading.moment, shown)

    @rule(user=st.sampled_from(USERS))
    def begin_to_write(self, user: str) -> None:
        self.generations.open(user)
        self.writings.append(Writing(user))

    @precondition(lambda self: self.writings)
    @rule(data=st.data(), dies=st.booleans())
    def write_on(self, data: st.DataObject, dies: bool) -> None:
        self.go_on_writing(data.draw(st.sampled_from(self.writings)), dies=dies)

    @rule(user=st.sampled_from(USERS))
    def write_at_once(self, user: str) -> None:
        self.begin_to_write(user)
        self.go_on_writing(self.writings[-1], dies=False)
        self.go_on_writing(self.writings[-1], dies=False)

    def go_on_writing(self, writing: Writing, *, dies: bool) -> None:
        if writing.version is None:
            writing.version = self.commit(writing.user)
            return
        self.writings.remove(writing)
        if not dies:
            self.generations.close(writing.user)
            self.replied[writing.user] = max(self.replied[writing.user], writing.version)

    @rule(user=st.sampled_from(USERS))
    def write_elsewhere(self, user: str) -> None:
        self.commit(user)

    @rule(known=st.booleans(), user=st.sampled_from(USERS))
    def reply_again(self, known: bool, user: str) -> None:
        """Of writers that died, whoever sends the same request is answered by another worker."""
        self.generations.close_one_or_all(user if known else None)
        self.replied |= {user: self.versions[user]} if known else self.versions

    @rule(which=st.sampled_from(WORKERS))
    def be_notified(self, which: int) -> None:
        self.hear(self.workers[which])

    @rule(which=st.sampled_from(WORKERS))
    def lose_the_feed(self, which: int) -> None:
        self.workers[which].cache.drop_all()
        self.workers[which].news.clear()
        self.workers[which].known = {}


TestCoherence = Coherence.TestCase
TestCoherence.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
