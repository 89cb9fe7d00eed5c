"""The sandbox's only source of time, so that tests can put it anywhere."""

from datetime import UTC, date, datetime, time, timedelta, timezone

IST = timezone(timedelta(hours=5, minutes=30), "IST")

TOKENS_DIE_AT = time(6, 0)
MARKET_CLOSES_AT = timedelta(hours=15, minutes=30)


class Clock:
    """Tells the time in India. Give another class with the same `now` to move it."""

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


def next_token_death(moment: datetime) -> datetime:
    """The first 06:00 IST after `moment`, when Kite ends every access token (Kite Connect docs)."""
    local = moment.astimezone(IST)
    death = datetime.combine(local.date(), TOKENS_DIE_AT, IST)
    return death if local < death else death + timedelta(days=1)


def wire_time(moment: datetime) -> str:
    """A date-time as Kite writes it: IST, without a zone (Kite Connect docs)."""
    return moment.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S")
