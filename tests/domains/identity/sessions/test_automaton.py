"""Clients, tabs, lost replies and a thief, against a plain model of what a session does."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import hypothesis
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from server.core.errors import Unauthenticated
from server.domains.identity.sessions.refresh_tokens import RefreshTokens
from tests.domains.identity.sessions.automaton import MONTH, WEEK, Automaton
from tests.domains.identity.sessions.world import World
from tests.storage.databases import emptied

T = TypeVar("T")
CLIENTS = 3
EXAMPLES, STEPS = 10, 15
LONG_EXAMPLES, LONG_STEPS = 100, 50
# None is no key; "own" is one for each token, as a client makes it, the others are guesses.
KEYS = st.sampled_from([None, "own", "own", "1", "2"])
TURNS = st.sampled_from(
    [0.001, 1, 59, 60, 60, 60, 60.001, 61, 3_600, 86_400, 7 * 86_400 - 1, 7 * 86_400, 23 * 86_400]
)


@dataclass(frozen=True)
class Sent:
    counter: int
    key: str | None


class SessionMachine(RuleBasedStateMachine):
    world: ClassVar[World]
    loop: ClassVar[asyncio.AbstractEventLoop]
    calls: ClassVar[int] = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def sign_in(self) -> None:
        self.run(emptied(self.world.database))
        user = self.run(self.world.users.create())
        self.session = self.run(self.world.begin(user)).session
        now = self.world.clock.at
        self.model = Automaton(now, min(now + WEEK, now + MONTH))
        self.newest = [1] * CLIENTS  # the counter of the token that each client has
        self.made = 1  # tokens that somebody was given
        self.since_end = 0

    def key(self, counter: int, key: str | None) -> str | None:
        return f"own {counter}" if key == "own" else key

    def refreshed(self, *batch: Sent) -> list[int | None]:
        """Refresh with all at once, and compare; gives the counters of the successors."""
        type(self).calls += len(batch)
        tokens = self.world.tokens
        sent = [tokens.make(self.session.id, each.counter) for each in batch]
        calls = [self.world.refreshed(t, each.key) for t, each in zip(sent, batch, strict=True)]
        successors = self.run(self.world.at_once(*calls))
        got = [None if token is None else tokens.read(token).counter for token in successors]
        self.model = self.explained(batch, got)
        self.made = max(self.made, self.model.counter)
        return got

    def explained(self, batch: Sequence[Sent], got: Sequence[int | None]) -> Automaton:
        """The session after an order in which these replies would have been given one by one.

        Orders may differ in the key that is stored; then the document says which it was.
        """
        stored = self.run(self.world.document(self.session.id)).get("rotationKey")
        fitting = None
        for order in itertools.permutations(range(len(batch))):
            model, replies = self.model, dict[int, int | None]()
            for place in order:
                each = batch[place]
                model, replies[place] = model.given(each.counter, each.key, self.world.clock.at)
            if [replies[place] for place in range(len(batch))] == list(got):
                fitting = fitting or model
                digest = model.key and self.world.tokens.key_digest(self.session.id, model.key)
                if digest == stored:
                    return model
        assert fitting is None, f"the stored key is none of those that were sent: {batch}"
        raise AssertionError(f"no order of {batch} gives {got} from {self.model}")

    @rule(client=st.integers(0, CLIENTS - 1), key=KEYS, lost=st.booleans())
    def refresh(self, client: int, key: str | None, lost: bool) -> None:
        counter = self.newest[client]
        (got,) = self.refreshed(Sent(counter, self.key(counter, key)))
        if got is not None and not lost:
            self.newest[client] = got

    @rule(
        tabs=st.lists(st.tuples(st.integers(0, CLIENTS - 1), KEYS), min_size=2, max_size=4),
    )
    def refresh_at_once(self, tabs: list[tuple[int, str | None]]) -> None:
        batch = [
            Sent(self.newest[client], self.key(self.newest[client], key)) for client, key in tabs
        ]
        for (client, _), got in zip(tabs, self.refreshed(*batch), strict=True):
            if got is not None:
                self.newest[client] = max(got, self.newest[client])

    @rule(behind=st.sampled_from([1, 1, 1, 2, 3]), key=KEYS, seconds=TURNS)
    def replay(self, behind: int, key: str | None, seconds: float) -> None:
        """A client whose reply was lost comes back after a while, or one out of a backup, or a thief."""
        self.turn_the_clock(seconds)
        counter = max(self.made - behind, 1)
        self.refreshed(Sent(counter, self.key(counter, key)))

    @rule(behind=st.integers(1, 2), key=KEYS)
    def replay_in_all_tabs(self, behind: int, key: str | None) -> None:
        counter = max(self.made - behind, 1)
        self.refreshed(*[Sent(counter, self.key(counter, key))] * 4)

    @rule(weeks=st.integers(1, 5))
    def live_on(self, weeks: int) -> None:
        """One client, just before the session would expire."""
        for _ in range(weeks):
            self.turn_the_clock(6.9 * 86_400)
            (got,) = self.refreshed(Sent(self.made, None))
            self.newest = [got or self.made] * CLIENTS

    @rule(behind=st.integers(0, 2), key=KEYS, client=st.integers(0, CLIENTS - 1))
    def race_a_thief(self, behind: int, key: str | None, client: int) -> None:
        stolen = max(self.made - behind, 1)
        own = self.newest[client]
        got, _ = self.refreshed(Sent(own, f"own {own}"), Sent(stolen, self.key(stolen, key)))
        if got is not None:
            self.newest[client] = got

    @rule(counter=st.integers(0, 5))
    def forge(self, counter: int) -> None:
        forged = RefreshTokens(b"another secret").make(self.session.id, counter)
        with pytest.raises(Unauthenticated):
            self.run(self.world.refresh(forged))

    @rule(ahead=st.integers(1, 3))
    def come_from_the_future(self, ahead: int) -> None:
        self.refreshed(Sent(self.model.counter + ahead, None))

    @rule(seconds=TURNS)
    def turn_the_clock(self, seconds: float) -> None:
        self.world.clock.turn(seconds=seconds)

    # It has no precondition: which of two is first in a race is not the example's to say, so the rules that
    # an example may choose from must not depend on it.
    @rule(at_once=st.booleans(), client=st.integers(0, CLIENTS - 1))
    def log_out(self, at_once: bool, client: int) -> None:
        """Also while a client refreshes: then it is given the successor, or that the session has ended."""
        ending = self.world.sessions.log_out(self.session.id)
        if not at_once:
            self.run(ending)
        else:
            now, own = self.world.clock.at, Sent(self.newest[client], None)
            token = self.world.tokens.make(self.session.id, own.counter)
            refreshing = self.world.refreshed(token)
            got = self.run(self.world.at_once(refreshing, ending))[0]
            before, counter = self.model.given(own.counter, None, now)
            if got is not None or (before.reused and self.stored_end() == "reused"):
                assert got == (counter and self.world.tokens.make(self.session.id, counter))
                self.model = before
        if not self.model.ended and self.world.clock.at < self.model.expires:
            self.model = replace(self.model, ended=True)

    def stored_end(self) -> str | None:
        end: str | None = self.run(self.world.document(self.session.id)).get("endedBy")
        return end

    @invariant()
    def it_is_stored_as_the_model_has_it(self) -> None:
        document = self.run(self.world.document(self.session.id))
        model = self.model
        key = model.key and self.world.tokens.key_digest(self.session.id, model.key)
        assert document["counter"] == model.counter
        assert document.get("rotatedAt") == model.rotated
        assert document.get("rotationKey") == key
        assert ("endedAt" in document) == model.ended
        if not model.ended:
            assert document["expiresAt"] == model.expires
        revoked = [self.session.id] if model.ended else []
        assert self.run(self.world.written.revoked()) == revoked
        reused = [self.session.id] if model.reused else []
        assert self.run(self.world.written.notices()) == reused
        actions = [action for action, _ in self.run(self.world.events())]
        assert actions.count("session.reused") == len(reused)
        assert len(actions) == len(revoked)
        self.since_end += model.ended or self.world.clock.at >= model.expires
        if self.since_end > 2:  # enough tokens were refused
            self.sign_in()


@pytest.fixture
async def loop() -> asyncio.AbstractEventLoop:
    """The one that the world's connections belong to."""
    return asyncio.get_running_loop()


def test_a_session_does_as_the_model_says(world: World, loop: asyncio.AbstractEventLoop) -> None:
    _run(world, loop, EXAMPLES, STEPS)


@pytest.mark.full_only
def test_it_does_so_for_long(world: World, loop: asyncio.AbstractEventLoop) -> None:
    _run(world, loop, LONG_EXAMPLES, LONG_STEPS)


def _run(world: World, loop: asyncio.AbstractEventLoop, examples: int, steps: int) -> None:
    SessionMachine.world, SessionMachine.loop, SessionMachine.calls = world, loop, 0
    settings = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    run_state_machine_as_test(SessionMachine, settings=settings)
    assert SessionMachine.calls > examples, "most examples refresh several times"
