"""Codes by SMS, which show whose a phone number is."""

import secrets
from dataclasses import dataclass, field

import structlog

from server.core.clock import Clock
from server.core.errors import InvalidRequest
from server.core.events import Event
from server.delivery.outbox import Outbox
from server.domains.identity.credentials.challenges.model import Challenge, Kind, NewChallenge
from server.domains.identity.credentials.challenges.store import ChallengeStore
from server.domains.identity.credentials.lockout.model import wait_until
from server.domains.identity.credentials.phones import messages, metrics, numbers
from server.domains.identity.credentials.phones.limits import SmsLimits, refused
from server.domains.identity.credentials.phones.model import (
    CODE_DIGITS,
    CODE_LIFE,
    MOST_OPEN,
    SentCode,
)
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_MANY_OPEN = "Codes that were sent to this number still hold; use one, or try again later"
_log = structlog.stdlib.get_logger("finlink.identity")


def new_code() -> str:
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"


@dataclass(frozen=True, slots=True)
class Purpose:
    """The use of a code: one of one kind or user never serves for another."""

    kind: Kind
    user: str | None = None  # `User.id` of who proves the number as the user's own
    data: dict[str, str] = field(default_factory=dict)


class PhoneCodes:
    def __init__(
        self,
        changes: RecordedChanges,
        challenges: ChallengeStore,
        limits: SmsLimits,
        outbox: Outbox,
        countries: frozenset[str],
        clock: Clock,
    ) -> None:
        """`countries`: SMS_COUNTRIES."""
        self._changes = changes
        self._challenges = challenges
        self._limits = limits
        self._outbox = outbox
        self._countries = countries
        self._clock = clock

    def number(self, text: str) -> str:
        """The number that somebody typed, as it is stored. Raises InvalidRequest if no code can go there."""
        problem = numbers.problem(text, self._countries)
        if problem is not None:
            raise InvalidRequest.of("phoneNumber", problem)
        return numbers.parse(text)

    async def send(
        self, number: str, purpose: Purpose, user_id: str | None, *, decoy: bool = False
    ) -> SentCode:
        """Have a code sent; as a `decoy` the same work, and nothing is sent. Codes before it stay good.

        `user_id` is the `userId` of whose number it is, for the audit trail. Raises RateLimited,
        DeliveryUnavailable, whoever has the number.
        """
        self._outbox.require("sms")
        subject = self._challenges.subject("phone", number)
        ends = await self._challenges.open_until(subject)
        now = self._clock.now()
        # A further one would have to end one of them, which may be about to be typed.
        if len(ends) >= MOST_OPEN:
            raise refused(_MANY_OPEN, ends[-MOST_OPEN], now)
        wait = await self._limits.take(number)
        until = now + CODE_LIFE
        code = new_code()
        new = NewChallenge(
            kind=purpose.kind,
            expires_at=until,
            user=purpose.user,
            subject=subject,
            code=code,
            data={"number": number, **purpose.data},
        )
        message = messages.code(number, code, until, purpose.user)

        async def work(session: ClientSession) -> str:
            challenge = await self._challenges.add(new, session)
            add = self._outbox.add_decoy if decoy else self._outbox.add
            await add(message, session)
            return challenge.id

        challenge_id = await self._changes.make(work, lambda _: Event("otp.sent", user_id), None)
        self._outbox.wake()
        metrics.OTPS.labels("sent").inc()
        _log.info("code sent", kind=purpose.kind)
        ends = [*ends, until]
        if len(ends) >= MOST_OPEN:
            wait = max(wait, wait_until(ends[-MOST_OPEN], now))
        return SentCode(challenge_id, until, round(wait.total_seconds()))

    async def check(self, challenge_id: str, code: str, kind: Kind) -> Challenge | None:
        """Count a try: the challenge that this is the code of, or None, whatever is wrong."""
        challenge = await self._challenges.attempt(challenge_id, kind)
        is_right = challenge is not None and self._challenges.is_right(challenge, code)
        metrics.OTPS.labels("right" if is_right else "wrong").inc()
        return challenge if is_right else None

    async def spend(self, challenge: Challenge, session: ClientSession) -> bool:
        """Use a code up, in the transaction of what it does: of two at once one gets True."""
        return await self._challenges.spend(challenge, session)
