"""How many codes may be sent to one address; SMS have limits of their own (`phones/limits.py`)."""

from datetime import timedelta

from server.core.clock import Clock
from server.core.errors import RateLimited
from server.domains.identity.credentials.challenges.store import ChallengeStore
from server.domains.identity.credentials.lockout.model import wait_until
from server.storage.driver import ClientSession

_HOUR = timedelta(hours=1)
_TOO_MANY = "Too many codes were sent; try again later"


class HourlyLimit:
    """So many challenges of kind `reauth` an hour, in the transaction that makes the next one.

    Tokens of mails do not count: strangers may ask for those.
    """

    def __init__(self, challenges: ChallengeStore, most: int, clock: Clock) -> None:
        self._challenges = challenges
        self._most = most
        self._clock = clock

    async def take(self, subject: str, session: ClientSession) -> timedelta:
        """Let one more be sent, and say how long it is until the next. Raises RateLimited."""
        now = self._clock.now()
        sent = await self._challenges.sent_since(subject, "reauth", now - _HOUR, session)
        if len(sent) >= self._most:
            wait = wait_until(sent[-self._most] + _HOUR, now)
            raise RateLimited(_TOO_MANY, retry_after=wait)
        sent = [*sent, now]
        if len(sent) < self._most:
            return timedelta(0)
        return wait_until(sent[-self._most] + _HOUR, now)
