"""Times as Kite keeps and writes them."""

from datetime import datetime, time, timedelta

from sandbox.clock import IST

TOKENS_DIE_AT = time(6, 0)


def next_token_death(moment: datetime) -> datetime:
    """The first 06:00 IST after `moment`, when Kite ends every access token (Kite Connect docs)."""
    local = moment.astimezone(IST)
    death = datetime.combine(local.date(), TOKENS_DIE_AT, IST)
    return death if local < death else death + timedelta(days=1)


def wire_time(moment: datetime) -> str:
    """A date-time as Kite writes it: IST, without a zone (Kite Connect docs)."""
    return moment.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S")
