"""Suspicious events: detected in the audit trail while it is sealed, and recorded there.

Refused and failed logins are counted where they happen (connectors' `connections/throttle.py`, identity's
`lockout/addresses.py`), because they have a consequence, and not each of them is an event.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from server.core.events import Event
from server.observability.metrics import SUSPICIOUS
from server.storage.audit import AuditTrail
from server.storage.driver import Document

_log = structlog.stdlib.get_logger("finlink.audit")


@dataclass(frozen=True, slots=True)
class Rule:
    """So many different values of `counted` for one `subject` within a time are suspicious."""

    action: str  # of the events that are looked at
    tells: str
    subject: Callable[[Mapping[str, Any]], str | None]
    counted: Callable[[Mapping[str, Any]], object]
    many: int
    within: timedelta
    of_user: bool  # whether the subject is a user


def _actor(event: Mapping[str, Any]) -> str | None:
    actor: Mapping[str, str] = event["actor"]
    return actor.get("key") or actor.get("certificate") or actor.get("address")


RULES = (
    Rule(
        action="connector.connected",
        tells="suspicious.many_addresses",
        subject=lambda event: event.get("userId"),
        counted=lambda event: event["actor"].get("address"),
        many=5,
        within=timedelta(minutes=10),
        of_user=True,
    ),
    Rule(
        action="user.deleted",
        tells="suspicious.many_deletes",
        subject=_actor,
        counted=lambda event: event["_id"],
        many=20,
        within=timedelta(minutes=1),
        of_user=False,
    ),
)

LONGEST = max(rule.within for rule in RULES)


class Suspicions:
    def __init__(self, trail: AuditTrail) -> None:
        self._trail = trail
        self._recorded_at: dict[tuple[str, str], datetime] = {}

    async def look(self, sealed: Sequence[Document]) -> None:
        """Check the newly sealed events with those before them; record each finding once within its time."""
        for rule in RULES:
            news = [event for event in sealed if self._is_true(rule, event)]
            if news:
                await self._apply(rule, news)

    def _is_true(self, rule: Rule, event: Mapping[str, Any]) -> bool:
        """Not one that somebody put in, who could put anything in the place of anything."""
        return event.get("action") == rule.action and self._trail.codes.fits(event)

    async def _apply(self, rule: Rule, news: Sequence[Document]) -> None:
        now: datetime = max(event["at"] for event in news)
        subjects = {str(subject) for event in news if (subject := rule.subject(event)) is not None}
        users = sorted(subjects) if rule.of_user else None
        found: defaultdict[str, set[object]] = defaultdict(set)
        for event in await self._trail.since(rule.action, now - rule.within, users):
            if self._is_true(rule, event) and (subject := rule.subject(event)) is not None:
                found[subject].add(rule.counted(event))
        for subject in subjects:
            name = (rule.tells, subject)
            last = self._recorded_at.get(name)
            if len(found[subject]) < rule.many or (last and now - last < rule.within):
                continue
            self._recorded_at = {
                key: at for key, at in self._recorded_at.items() if now - at < LONGEST
            }
            self._recorded_at[name] = now
            user_id = subject if rule.of_user else None
            _log.warning("suspicious", what=rule.tells, user_id=user_id)
            SUSPICIOUS.labels(rule.tells).inc()
            await self._trail.add(Event(rule.tells, user_id))
