"""A number that was not proved for long: its owner names the date of birth, or it is another's by now."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from server.core.clock import Clock
from server.domains.identity.credentials.accounts.model import Account
from server.domains.identity.credentials.accounts.store import AccountStore, PhoneTaken
from server.domains.identity.credentials.challenges.model import Challenge
from server.domains.identity.credentials.challenges.store import ChallengeStore
from server.domains.identity.credentials.phones.model import MOST_BIRTHS, PhoneOwner
from server.domains.identity.credentials.phones.owners import PhoneOwners
from server.domains.identity.errors import LoginFailed, UserNotActive
from server.domains.identity.sessions.model import Caller
from server.domains.identity.signin import metrics
from server.domains.identity.signin.completion import Completion
from server.domains.identity.signin.model import Challenged, Opened, Proof
from server.domains.identity.signin.phone_registration import PhoneRegistration
from server.storage.driver import ClientSession

_METHOD = "date_of_birth"


@dataclass(frozen=True)
class FormerOwnerLogin:
    """Tries count by account and number, so that another code gives no others."""

    _accounts: AccountStore
    _owners: PhoneOwners
    _challenges: ChallengeStore
    _registration: PhoneRegistration
    _completion: Completion
    _clock: Clock

    async def verify(
        self, challenge_id: str, birth: str, caller: Caller, check_cookie: Callable[[], None]
    ) -> Opened | Challenged:
        """Begin the session of the number's owner; after the last wrong date, that of a user who is made.

        `check_cookie` raises if the caller may not get a cookie; it is asked if the login wants one. Raises
        LoginFailed for whatever is wrong before that; UserNotActive after the right date only.
        """
        try:
            result = await self._verify(challenge_id, birth, caller, check_cookie)
        except (LoginFailed, PhoneTaken):
            metrics.LOGINS.labels(_METHOD, "failed").inc()
            raise LoginFailed from None
        except UserNotActive:
            metrics.LOGINS.labels(_METHOD, "not_active").inc()
            raise
        outcome = "succeeded" if isinstance(result, Opened) else "challenged"
        metrics.LOGINS.labels(_METHOD, outcome).inc()
        return result

    async def _verify(
        self, challenge_id: str, birth: str, caller: Caller, check_cookie: Callable[[], None]
    ) -> Opened | Challenged:
        challenge = await self._challenges.attempt(challenge_id, "former_owner", MOST_BIRTHS)
        if challenge is None:
            raise LoginFailed
        proof = Proof.from_kept(challenge.data, None, caller)
        if proof.session == "cookie":
            check_cookie()
        owner = await self._owners.find(challenge.data["number"])
        if owner is None or owner.user.id != challenge.user:
            raise LoginFailed  # the number has moved meanwhile
        tries = await self._accounts.try_birth(owner.user.id, challenge.data["number"], MOST_BIRTHS)
        if tries is None:
            raise LoginFailed
        if _is_right(owner, birth):
            return await self._enter(challenge, owner, proof)
        if tries < MOST_BIRTHS:
            raise LoginFailed
        return await self._registration.register(challenge, proof, self._has_failed)

    async def _enter(
        self, challenge: Challenge, owner: PhoneOwner, proof: Proof
    ) -> Opened | Challenged:
        async def within(now: Account, session: ClientSession) -> None:
            is_same = now.phone is not None and now.phone.number == challenge.data["number"]
            if not is_same or not await self._challenges.spend(challenge, session):
                raise LoginFailed
            await self._accounts.prove_phone(now.id, self._clock.now(), session)

        return await self._completion.complete(owner.user, owner.account, proof, within)

    def _has_failed(self, owner: PhoneOwner) -> bool:
        return owner.is_former(self._clock.now())


def _is_right(owner: PhoneOwner, birth: str) -> bool:
    """None that is stored is none that is right."""
    stored = owner.user.profile.date_of_birth
    return stored is not None and hmac.compare_digest(stored.isoformat(), birth)
