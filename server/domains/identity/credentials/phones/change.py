"""Changing the number that signs in to one's own account."""

from dataclasses import dataclass

import structlog

from server.core.errors import SessionEnded
from server.core.events import Event
from server.core.principals import SignedIn
from server.core.users import User
from server.delivery.outbox import Outbox
from server.domains.identity.credentials.challenges.model import Challenge
from server.domains.identity.credentials.phones.codes import PhoneCodes, Purpose
from server.domains.identity.credentials.phones.model import SentCode
from server.domains.identity.credentials.phones.owners import PhoneOwners
from server.domains.identity.errors import CodeInvalid, LastCredential
from server.domains.identity.sessions.service import SessionService
from server.kernel import Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.identity")


@dataclass(frozen=True)
class PhoneChange:
    _changes: RecordedChanges
    _users: Users
    _owners: PhoneOwners
    _codes: PhoneCodes
    _outbox: Outbox
    _sessions: SessionService

    async def start(self, caller: SignedIn, text: str) -> SentCode:
        """Have a code sent to the number that the caller typed; the same work whoever has it.

        Raises InvalidRequest for what no code can be sent to, RateLimited, DeliveryUnavailable, SessionEnded.
        """
        number = self._codes.number(text)
        user = await self._users.find("id", caller.user)
        if user is None:
            raise SessionEnded
        purpose = Purpose("phone_change", user.id, {"session": caller.session_id})
        return await self._codes.send(number, purpose, user.user_id)

    async def confirm(self, caller: SignedIn, challenge_id: str, code: str) -> None:
        """Let the caller sign in with the number that the code was sent to.

        If it signs another user in, that one loses it. Raises CodeInvalid for whatever is wrong with the
        code; LastCredential if the other could not sign in any more; SessionEnded.
        """
        challenge = await self._codes.check(challenge_id, code, "phone_change")
        if challenge is None or not _is_of(challenge, caller):
            raise CodeInvalid

        async def work(session: ClientSession) -> tuple[Event, ...]:
            user = await self._users.lock_id(caller.user, session)
            if user is None:
                raise SessionEnded
            await self._sessions.require(caller.session_id, session)
            return await self._move(challenge, user, session)

        await self._changes.make(work, lambda events: events, None)
        self._outbox.wake()
        _log.info("phone number changed", user_id=caller.user_id)

    async def _move(
        self, challenge: Challenge, user: User, session: ClientSession
    ) -> tuple[Event, ...]:
        if not await self._codes.spend(challenge, session):
            raise CodeInvalid
        number = challenge.data["number"]
        other = await self._owners.lock(number, session)
        events: tuple[Event, ...] = ()
        if other is not None and other.user.id != user.id:
            if other.needs_phone:
                raise LastCredential
            events = (await self._owners.take_from(other, session),)
        await self._owners.give(user, number, session)
        await self._owners.notify(user, session)
        return (Event("user.phone_changed", user.user_id, fields=("phone",)), *events)


def _is_of(challenge: Challenge, caller: SignedIn) -> bool:
    return challenge.user == caller.user and challenge.data["session"] == caller.session_id
