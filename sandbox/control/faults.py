"""Which fault a call meets: the rules of each account, counted and drawn repeatably."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sandbox.control.calls import EVERY_LOGIN, Call, PlatformAdapter
from sandbox.control.rules import Rule, SessionEnd, Slow, check_calls
from sandbox.randomness import seeded_random


@dataclass
class Fault:
    """A rule at work. Under `*` every login is counted by itself, so that runs repeat."""

    rule: Rule
    # None stands for all.
    calls: frozenset[str] | None
    seed_words: tuple[object, ...]
    applied: int = 0
    waiting: int = 0
    cleared: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: Counter[str | None] = field(default_factory=Counter)
    _used: Counter[str | None] = field(default_factory=Counter)

    @property
    def at_once(self) -> bool:
        return isinstance(self.rule, SessionEnd) and self.rule.at_once

    def applies(self, call: Call) -> bool:
        """Whether the call meets this fault; asking counts the call."""
        rule = self.rule
        if self.at_once or (self.calls is not None and call.name not in self.calls):
            return False
        number = self._seen[call.login]
        self._seen[call.login] += 1
        if number < rule.after or (rule.times is not None and self._used[call.login] >= rule.times):
            return False
        if seeded_random(*self.seed_words, call.login, number).random() >= rule.probability:
            return False
        self._used[call.login] += 1
        self.applied += 1
        return True

    def state(self) -> dict[str, Any]:
        rule = self.rule.model_dump(exclude_unset=True)
        return {**rule, "applied": self.applied, "waiting": self.waiting}


class Faults:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._faults: dict[tuple[str, str], list[Fault]] = {}

    def put(self, platform: PlatformAdapter, login: str, rules: list[Rule]) -> None:
        """Put rules in place of the login's earlier ones."""
        faults = [
            Fault(
                rule,
                check_calls(rule, platform, f"[{place}]"),
                (self._seed, "fault", platform.name, place),
            )
            for place, rule in enumerate(rules)
        ]
        self.clear(platform.name, login)
        for fault in faults:
            if fault.at_once:
                revoke = fault.rule.kind == "revoked"
                platform.end_sessions(None if login == EVERY_LOGIN else login, revoke=revoke)
                fault.applied = 1
        self._faults[platform.name, login] = faults

    def clear(self, platform: str, login: str) -> None:
        for fault in self._faults.pop((platform, login), []):
            fault.cleared.set()

    def clear_all(self) -> None:
        for platform, login in list(self._faults):
            self.clear(platform, login)

    def states(self, platform: str, login: str) -> list[dict[str, Any]]:
        return [fault.state() for fault in self._faults.get((platform, login), [])]

    def met_by(self, call: Call) -> tuple[list[Slow], Fault | None]:
        """The delays of a call and the one other fault it meets.

        Rules are tried in order, the login's own first; none is tried after the first that
        applies, delays apart.
        """
        own = [] if call.login is None else self._faults.get((call.platform, call.login), [])
        delays: list[Slow] = []
        for fault in [*own, *self._faults.get((call.platform, EVERY_LOGIN), [])]:
            if not fault.applies(call):
                continue
            if not isinstance(fault.rule, Slow):
                return delays, fault
            delays.append(fault.rule)
        return delays, None
