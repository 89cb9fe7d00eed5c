"""Sends the user of a session a code, which shows again who it is."""

from collections.abc import Callable

from server.core.clock import Clock
from server.core.errors import InvalidRequest, SessionEnded
from server.core.events import Event
from server.core.principals import SignedIn
from server.core.users import User
from server.delivery.message import Message
from server.delivery.outbox import Outbox
from server.domains.identity.credentials.accounts.model import Account
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.challenges.model import NewChallenge
from server.domains.identity.credentials.challenges.store import ChallengeStore
from server.domains.identity.credentials.factors.code_limits import HourlyLimit
from server.domains.identity.credentials.factors.model import Channel
from server.domains.identity.credentials.phones.codes import PhoneCodes, Purpose, new_code
from server.domains.identity.credentials.phones.model import CODE_LIFE, SentCode
from server.kernel import Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_SUBJECT = "Your code"
_IN_ONE_LINE = "{code} is your code at Finlink. It is good for 5 minutes. Give it to nobody."


class CodeSending:
    def __init__(
        self,
        changes: RecordedChanges,
        users: Users,
        accounts: AccountStore,
        challenges: ChallengeStore,
        outbox: Outbox,
        phones: PhoneCodes,
        mail_subject: Callable[[str], str],
        mail_limit: HourlyLimit,
        clock: Clock,
    ) -> None:
        """`mail_subject` gives the name of an address among challenges."""
        self._changes = changes
        self._users = users
        self._accounts = accounts
        self._challenges = challenges
        self._outbox = outbox
        self._phones = phones
        self._mail_subject = mail_subject
        self._mail_limit = mail_limit
        self._clock = clock

    async def send(self, caller: SignedIn, channel: Channel | None) -> SentCode:
        """A code for this session alone, to what its user has verified; codes before it stay good.

        Raises InvalidRequest if nothing there was verified, RateLimited, DeliveryUnavailable.
        """
        user = await self._users.find("id", caller.user)
        if user is None:
            raise SessionEnded
        channel, to = _verified(user, await self._accounts.of(user.id), channel)
        data = {"session": caller.session_id}
        if channel == "phone":
            return await self._phones.send(to, Purpose("reauth", user.id, data), user.user_id)
        return await self._by_mail(user, to, data)

    async def _by_mail(self, user: User, to: str, data: dict[str, str]) -> SentCode:
        self._outbox.require("mail")
        code, until = new_code(), self._clock.now() + CODE_LIFE
        subject = self._mail_subject(to)
        new = NewChallenge(
            kind="reauth", expires_at=until, user=user.id, subject=subject, code=code, data=data
        )
        text = _IN_ONE_LINE.format(code=code)
        message = Message("mail", "reauth", to, text, until, _SUBJECT, user.id)

        async def work(session: ClientSession) -> SentCode:
            # Calls of one user wait for each other, so that no more are sent than may be.
            if await self._users.lock_id(user.id, session) is None:
                raise SessionEnded
            wait = await self._mail_limit.take(subject, session)
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
