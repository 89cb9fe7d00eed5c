"""The sandbox's only source of time, so that tests can put it anywhere."""

from datetime import UTC, date, datetime, timedelta, timezone

IST = timezone(timedelta(hours=5, minutes=30), "IST")

MARKET_CLOSES_AT = timedelta(hours=15, minutes=30)


class Clock:
    """The time in India. Give another class with the same `now` to move it."""

    def now(self) -> datetime:
        return datetime.now(UTC).astimezone(IST)

    def today(self) -> date:
        return self.now().date()

    def session_day(self) -> date:
        """The last day whose market session has closed.

        A day's orders are served whole, once it is over: fills then never lie in the future, and
        two calls agree. The sandbox's market is open every day, so that no day is a dull one.
        """
        return (self.now() - MARKET_CLOSES_AT).date()


class TurnableClock(Clock):
    """Real until turned. Turned, it runs on from where it was put, or stands still there."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        self._stopped_at: datetime | None = None

    def now(self) -> datetime:
        return self._stopped_at or super().now() + self._ahead

    @property
    def frozen(self) -> bool:
        return self._stopped_at is not None

    @property
    def real(self) -> bool:
        return not self.frozen and not self._ahead

    def turn(self, moment: datetime, *, frozen: bool) -> None:
        """Raises ValueError outside the years that the sandbox invents data for."""
        local = moment.astimezone(IST)
        if not 2000 <= local.year < 2100:
            raise ValueError("not in this century")
        self._ahead = local - super().now()
        self._stopped_at = local if frozen else None

    def advance(self, by: timedelta) -> None:
        """A clock that stands still does so afterwards, too."""
        self.turn(self.now() + by, frozen=self.frozen)

    def be_real(self) -> None:
        self._ahead = timedelta()
        self._stopped_at = None
