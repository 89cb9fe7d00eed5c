"""Signing in with a code by SMS, which also registers who has a number that nobody has."""

from server.core.clock import Clock
from server.core.same_time import takes_same_time
from server.domains.identity.credentials.accounts.model import Account
from server.domains.identity.credentials.accounts.store import AccountStore, PhoneTaken
from server.domains.identity.credentials.challenges.model import Challenge, NewChallenge
from server.domains.identity.credentials.challenges.store import ChallengeStore
from server.domains.identity.credentials.phones.codes import PhoneCodes, Purpose
from server.domains.identity.credentials.phones.model import OtpLogin, PhoneOwner, SentCode
from server.domains.identity.credentials.phones.owners import PhoneOwners
from server.domains.identity.errors import LoginFailed, UserNotActive
from server.domains.identity.signin import metrics
from server.domains.identity.signin.completion import Completion
from server.domains.identity.signin.model import CHALLENGE_LIFE, Challenged, Opened, Proof
from server.domains.identity.signin.phone_registration import PhoneRegistration
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession


class PhoneLogin:
    def __init__(
        self,
        changes: RecordedChanges,
        accounts: AccountStore,
        owners: PhoneOwners,
        codes: PhoneCodes,
        challenges: ChallengeStore,
        registration: PhoneRegistration,
        completion: Completion,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._accounts = accounts
        self._owners = owners
        self._codes = codes
        self._challenges = challenges
        self._registration = registration
        self._completion = completion
        self._clock = clock

    @takes_same_time
    async def send(self, text: str) -> SentCode:
        """Have a code sent to the number that somebody typed; the same work whether or not anybody has it.

        Raises InvalidRequest for what no code can be sent to, RateLimited, DeliveryUnavailable.
        """
        number = self._codes.number(text)
        owner = await self._owner(number)
        is_for_nobody = owner is None and not self._registration.is_open
        user_id = owner.user.user_id if owner else None
        return await self._codes.send(number, Purpose("otp"), user_id, decoy=is_for_nobody)

    async def verify(self, login: OtpLogin) -> Opened | Challenged:
        """Begin a session, or a challenge if a code is not enough. A user is made of an unknown number.

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
        return owner.is_former(self._clock.now())

    async def _enter(self, challenge: Challenge, proof: Proof) -> Opened | Challenged:
        owner = await self._owner(challenge.data["number"])
        if owner is None:
            return await self._registration.register(challenge, proof, self._is_former)
        if owner.may_be_another(self._clock.now()):
            return await self._ask_for_birth(challenge, owner, proof)

        async def within(now: Account, session: ClientSession) -> None:
            await self._spend(challenge, now, session)
            await self._accounts.prove_phone(now.id, self._clock.now(), session)

        return await self._completion.complete(owner.user, owner.account, proof, within)

    async def _ask_for_birth(
        self, challenge: Challenge, owner: PhoneOwner, proof: Proof
    ) -> Challenged:
        """The number is proved, but its owner may be another person by now."""
        until = self._clock.now() + CHALLENGE_LIFE
        data = {"number": challenge.data["number"], **proof.kept()}
        new = NewChallenge(kind="former_owner", expires_at=until, user=owner.user.id, data=data)

        async def work(session: ClientSession) -> str:
            now = await self._accounts.lock(owner.user.id, session)
            await self._spend(challenge, now, session)
            return (await self._challenges.add(new, session)).id

        challenge_id = await self._changes.make(work, lambda _: [], None)
        return Challenged(challenge_id, ("date_of_birth",), until)

    async def _spend(self, challenge: Challenge, now: Account, session: ClientSession) -> None:
        """Use a code up. The number may have been moved to another account since it was looked up."""
        is_same = now.phone is not None and now.phone.number == challenge.data["number"]
        if not is_same or not await self._codes.spend(challenge, session):
            raise LoginFailed
