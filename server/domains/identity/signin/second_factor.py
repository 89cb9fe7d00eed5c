"""Completes a login with a second factor."""

from collections.abc import Callable

from server.core.users import User
from server.domains.identity.credentials.accounts.model import Account
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.challenges.model import Challenge
from server.domains.identity.credentials.challenges.store import ChallengeStore
from server.domains.identity.credentials.factors.model import Solution
from server.domains.identity.credentials.factors.solutions import SecondFactors
from server.domains.identity.errors import LoginFailed, UserNotActive
from server.domains.identity.sessions.model import Caller
from server.domains.identity.signin import metrics
from server.domains.identity.signin.completion import Completion
from server.domains.identity.signin.model import Opened, Proof
from server.kernel import Users
from server.storage.driver import ClientSession


class SecondFactorLogin:
    def __init__(
        self,
        users: Users,
        accounts: AccountStore,
        challenges: ChallengeStore,
        factors: SecondFactors,
        completion: Completion,
    ) -> None:
        self._users = users
        self._accounts = accounts
        self._challenges = challenges
        self._factors = factors
        self._completion = completion

    async def verify(
        self,
        challenge_id: str,
        solution: Solution,
        caller: Caller,
        check_cookie: Callable[[], None],
    ) -> Opened:
        """Begin the session that the login has asked for.

        `check_cookie` raises if the caller may not get a cookie; it is asked if the login wants one. Raises
        LoginFailed for whatever is wrong with challenge or solution; AccountLocked; UserNotActive after the
        right solution only.
        """
        try:
            return await self._verify(challenge_id, solution, caller, check_cookie)
        except LoginFailed:
            metrics.LOGINS.labels(solution.method, "failed").inc()
            raise
        except UserNotActive:
            metrics.LOGINS.labels(solution.method, "not_active").inc()
            raise

    async def _verify(
        self,
        challenge_id: str,
        solution: Solution,
        caller: Caller,
        check_cookie: Callable[[], None],
    ) -> Opened:
        challenge = await self._challenges.attempt(challenge_id, "second_factor")
        if challenge is None:
            raise LoginFailed
        user, account = await self._owner(challenge)
        proof = Proof.from_kept(challenge.data, solution.method, caller)
        if proof.session == "cookie":
            check_cookie()
        right = await self._factors.check(user, account, solution)
        if not user.is_active:
            raise UserNotActive

        async def within(_: Account, session: ClientSession) -> None:
            # The challenge may have ended since, with a new password; the solution may have been used.
            if not await self._challenges.spend(challenge, session):
                raise LoginFailed
            await self._factors.spend(user, right, session)

        try:
            opened = await self._completion.begin(
                user, account, proof, within, right.events(user.user_id)
            )
        except LoginFailed:
            await self._factors.failed(user, solution.method)
            raise
        self._factors.committed()
        metrics.LOGINS.labels(solution.method, "succeeded").inc()
        return opened

    async def _owner(self, challenge: Challenge) -> tuple[User, Account]:
        user = await self._users.find("id", challenge.user) if challenge.user else None
        account = await self._accounts.of(user.id) if user else None
        if user is None or account is None:
            raise LoginFailed
        return user, account
