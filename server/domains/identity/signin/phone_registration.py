"""Registers whoever has proved a phone number that signs nobody in."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from server.core.events import Event
from server.core.users import NewUser, Profile
from server.domains.identity.credentials.accounts.store import PhoneTaken
from server.domains.identity.credentials.challenges.model import Challenge
from server.domains.identity.credentials.challenges.store import ChallengeStore
from server.domains.identity.credentials.phones.model import PhoneOwner
from server.domains.identity.credentials.phones.owners import PhoneOwners
from server.domains.identity.errors import LoginFailed
from server.domains.identity.signin.completion import Completion, Made
from server.domains.identity.signin.model import Opened, Proof
from server.domains.identity.signin.registration import named
from server.kernel import Users
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.identity")


class PhoneRegistration:
    def __init__(
        self,
        users: Users,
        owners: PhoneOwners,
        challenges: ChallengeStore,
        completion: Completion,
        *,
        is_open: bool,
    ) -> None:
        self._users = users
        self._owners = owners
        self._challenges = challenges
        self._completion = completion
        self.is_open = is_open

    async def register(
        self, challenge: Challenge, proof: Proof, is_former: Callable[[PhoneOwner], bool]
    ) -> Opened:
        """Make a user of the number that a challenge was about, and use the challenge up; begin a session.

        The number leaves who has it if that one `is_former`. Raises PhoneTaken if it is somebody's,
        LoginFailed if nobody may register or the challenge was used meanwhile.
        """
        if not self.is_open:
            raise LoginFailed
        number = challenge.data["number"]
        new = named(NewUser(user_id="", profile=Profile(phone_number=number)))

        async def make(session: ClientSession) -> Made:
            if not await self._challenges.spend(challenge, session):
                raise LoginFailed
            events = await self._free(number, is_former, session)
            user = await self._users.create(new, session)
            user, account = await self._owners.give(user, number, session)
            return Made(user, account, events)

        opened = await self._completion.begin_new(make, new.given, proof)
        _log.info("user registered", user_id=new.user_id)
        return replace(opened, created=True)

    async def _free(
        self, number: str, is_former: Callable[[PhoneOwner], bool], session: ClientSession
    ) -> Sequence[Event]:
        """Take the number from its former owner."""
        owner = await self._owners.lock(number, session)
        if owner is None:
            return []
        if not is_former(owner):
            raise PhoneTaken
        return [await self._owners.take_from(owner, session)]
