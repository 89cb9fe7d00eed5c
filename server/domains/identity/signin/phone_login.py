"""Signing in with a code by SMS, which also registers who has a number that nobody has."""

from collections.abc import Sequence
from dataclasses import replace

import structlog

from server.core.clock import Clock
from server.core.events import Event
from server.core.users import NewUser, Profile
from server.domains.identity.accounts.model import Account
from server.domains.identity.accounts.store import AccountStore, PhoneTaken
from server.domains.identity.challenges.model import Challenge
from server.domains.identity.errors import LoginFailed, UserNotActive
from server.domains.identity.phones.codes import PhoneCodes, Purpose
from server.domains.identity.phones.model import OtpLogin, PhoneOwner, SentCode
from server.domains.identity.phones.owners import PhoneOwners
from server.domains.identity.signin import metrics
from server.domains.identity.signin.completion import Completion, Made
from server.domains.identity.signin.model import Challenged, Opened, Proof
from server.domains.identity.signin.registration import named
from server.kernel import Users
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.identity")


class PhoneLogin:
    def __init__(
        self,
        users: Users,
        accounts: AccountStore,
        owners: PhoneOwners,
        codes: PhoneCodes,
        completion: Completion,
        clock: Clock,
        *,
        may_register: bool,
    ) -> None:
        self._users = users
        self._accounts = accounts
        self._owners = owners
        self._codes = codes
        self._completion = completion
        self._clock = clock
        self._may_register = may_register

    async def send(self, text: str) -> SentCode:
        """Have a code sent to the number that somebody typed; the same work whether or not anybody has it.

        Raises InvalidRequest for what no code can be sent to, RateLimited, DeliveryUnavailable.
        """
        number = self._codes.number(text)
        owner = await self._owner(number)
        is_for_nobody = owner is None and not self._may_register
        user_id = owner.user.user_id if owner else None
        return await self._codes.send(number, Purpose("otp"), user_id, decoy=is_for_nobody)

    async def verify(self, login: OtpLogin) -> Opened | Challenged:
        """Begin a session, or a challenge if a second factor is needed. A user is made of an unknown number.

        Raises LoginFailed for whatever is wrong; UserNotActive, after the right code only.
        """
        try:
            result = await self._verify(login)
        except LoginFailed:
            metrics.LOGINS.labels("otp", "failed").inc()
            raise
        except UserNotActive:
            metrics.LOGINS.labels("otp", "not_active").inc()
            raise
        outcome = "succeeded" if isinstance(result, Opened) else "challenged"
        metrics.LOGINS.labels("otp", outcome).inc()
        return result

    async def _verify(self, login: OtpLogin) -> Opened | Challenged:
        challenge = await self._codes.check(login.challenge_id, login.code, "otp")
        if challenge is None:
            raise LoginFailed
        proof = Proof(("otp",), login.session, login.caller, login.device_name)
        try:
            return await self._enter(challenge, proof)
        except PhoneTaken:
            # Another call has just made the user of this number.
            return await self._enter(challenge, proof)

    async def _owner(self, number: str) -> PhoneOwner | None:
        """Who a number opens the account of."""
        owner = await self._owners.find(number)
        return None if owner is None or self._is_former(owner) else owner

    def _is_former(self, owner: PhoneOwner) -> bool:
        """Whether the number may be another person's by now, so that it opens nothing of its last owner.

        An account that nothing else lets in keeps its number: its owner would be shut out for good.
        """
        return owner.may_be_another(self._clock.now()) and not owner.needs_phone

    async def _enter(self, challenge: Challenge, proof: Proof) -> Opened | Challenged:
        number = challenge.data["number"]
        owner = await self._owner(number)
        if owner is None:
            return await self._register(challenge, number, proof)

        async def within(now: Account, session: ClientSession) -> None:
            # The number may have been moved to another account since it was looked up.
            is_same = now.phone is not None and now.phone.number == number
            if not is_same or not await self._codes.spend(challenge, session):
                raise LoginFailed
            await self._accounts.update(now.id, {"phone.provedAt": self._clock.now()}, session)

        return await self._completion.complete(owner.user, owner.account, proof, within)

    async def _register(self, challenge: Challenge, number: str, proof: Proof) -> Opened:
        if not self._may_register:
            raise LoginFailed
        new = named(NewUser(user_id="", profile=Profile(phone_number=number)))

        async def make(session: ClientSession) -> Made:
            if not await self._codes.spend(challenge, session):
                raise LoginFailed
            events = await self._free(number, session)
            user = await self._users.create(new, session)
            user, account = await self._owners.give(user, number, session)
            return Made(user, account, events)

        opened = await self._completion.begin_new(make, new.given, proof)
        _log.info("user registered", user_id=new.user_id)
        return replace(opened, created=True)

    async def _free(self, number: str, session: ClientSession) -> Sequence[Event]:
        """Take the number from its former owner. Raises PhoneTaken if it has another one by now."""
        former = await self._owners.lock(number, session)
        if former is None:
            return []
        if not self._is_former(former):
            raise PhoneTaken
        return [await self._owners.take_from(former, session)]
