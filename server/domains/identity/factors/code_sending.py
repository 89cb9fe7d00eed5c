"""Sends the user of a session a code, which shows again who it is."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from server.core.clock import Clock
from server.core.errors import InvalidRequest, SessionEnded
from server.core.events import Event
from server.core.principals import SignedIn
from server.core.users import User
from server.delivery.message import Channel as Way
from server.delivery.message import Message
from server.delivery.outbox import Outbox
from server.domains.identity.accounts.model import Account
from server.domains.identity.accounts.store import AccountStore
from server.domains.identity.challenges.model import NewChallenge
from server.domains.identity.challenges.store import ChallengeStore
from server.domains.identity.factors.code_limits import CodeLimit
from server.domains.identity.factors.model import CODE_DIGITS, CODE_LIFE, Channel, SentCode
from server.kernel import Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_SUBJECT = "Your code"
_IN_ONE_LINE = "{code} is your code at Finlink. It is good for 5 minutes. Give it to nobody."


@dataclass(frozen=True)
class SendingWay:
    """How codes go through one channel."""

    way: Way
    subject: Callable[[str], str]  # the name of an address among challenges
    limit: CodeLimit


class CodeSending:
    def __init__(
        self,
        changes: RecordedChanges,
        users: Users,
        accounts: AccountStore,
        challenges: ChallengeStore,
        outbox: Outbox,
        ways: Mapping[Channel, SendingWay],
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._users = users
        self._accounts = accounts
        self._challenges = challenges
        self._outbox = outbox
        self._ways = ways
        self._clock = clock

    async def send(self, caller: SignedIn, channel: Channel | None) -> SentCode:
        """A code for this session alone, to what its user has verified; codes before it stay good.

        Raises InvalidRequest if nothing there was verified, RateLimited, DeliveryUnavailable.
        """
        user = await self._users.find("id", caller.user)
        if user is None:
            raise SessionEnded
        channel, to = _verified(user, await self._accounts.of(user.id), channel)
        way = self._ways[channel]
        self._outbox.require(way.way)
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
        until, subject = self._clock.now() + CODE_LIFE, way.subject(to)
        new = NewChallenge(
            kind="reauth", expires_at=until, user=user.id, subject=subject, code=code,
            data={"session": caller.session_id},
        )  # fmt: skip
        text = _IN_ONE_LINE.format(code=code)
        message = Message(
            way.way, "reauth", to, text, until, _SUBJECT if way.way == "mail" else "", user.id
        )

        async def work(session: ClientSession) -> SentCode:
            # Calls of one user wait for each other, so that no more are sent than may be.
            if await self._users.lock_id(user.id, session) is None:
                raise SessionEnded
            wait = await way.limit.take(subject, session)
            challenge = await self._challenges.add(new, session)
            await self._outbox.add(message, session)
            return SentCode(challenge.id, until, round(wait.total_seconds()))

        sent = await self._changes.make(work, lambda _: Event("otp.sent", user.user_id), None)
        self._outbox.wake()
        return sent


def _verified(user: User, account: Account | None, channel: Channel | None) -> tuple[Channel, str]:
    """The channel that was asked for, or the first there is, and where it leads."""
    verified: dict[Channel, str] = {}
    if account is not None and account.phone is not None:
        verified["phone"] = account.phone.number
    if user.email is not None and user.email_verified:
        verified["email"] = user.email
    channel = channel or next(iter(verified), None)
    if channel is None or channel not in verified:
        raise InvalidRequest.of("channel", "nothing was verified to which a code could be sent")
    return channel, verified[channel]
