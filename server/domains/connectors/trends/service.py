"""Use cases of trends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from server.core.clock import utc_now
from server.domains.connectors.trends.model import Point, Window
from server.domains.connectors.trends.store import TrendStore

DEFAULT_MINUTES = 60


@dataclass(frozen=True, slots=True)
class Trends:
    """Steps of one length, oldest first."""

    step: timedelta
    points: Sequence[Point]


class TrendService:
    def __init__(self, store: TrendStore) -> None:
        self._store = store

    async def last(self, minutes: int | None) -> Trends:
        """The steps of the last minutes, the one under way included."""
        window = Window.of(utc_now(), minutes or DEFAULT_MINUTES)
        return Trends(window.step, window.in_steps(await self._store.since(window.first)))
