"""Compares what somebody shows as a second factor, and lets each solution be good once."""

from collections.abc import Awaitable, Callable, Mapping

from server.core.clock import Clock
from server.core.users import User
from server.domains.identity.credentials.accounts.model import Account
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.challenges.model import Method
from server.domains.identity.credentials.factors import messages, recovery_codes
from server.domains.identity.credentials.factors.model import RightSolution, Solution
from server.domains.identity.credentials.factors.totp import TotpSecrets, step_of
from server.domains.identity.credentials.lockout.service import SecondFactorLockout
from server.domains.identity.credentials.notices import Notices
from server.domains.identity.errors import LoginFailed
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_Compare = Callable[[Account, str], Awaitable[RightSolution | None]]


class SecondFactors:
    """First `check` a solution, then `spend` it in the transaction of what it lets its user do."""

    def __init__(
        self,
        changes: RecordedChanges,
        accounts: AccountStore,
        secrets: TotpSecrets,
        lockout: SecondFactorLockout,
        notices: Notices,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._accounts = accounts
        self._secrets = secrets
        self._lockout = lockout
        self._notices = notices
        self._clock = clock
        self._compare: Mapping[Method, _Compare] = {
            "totp": self._compare_totp,
            "recovery_code": self._compare_recovery_code,
        }

    async def check(self, user: User, account: Account, solution: Solution) -> RightSolution:
        """Raises LoginFailed, the same for a wrong and a used solution, and AccountLocked."""
        right = None
        if solution.method in account.second_factors:
            right = await self._compare[solution.method](account, solution.value)
        if right is None:
            await self.failed(user, solution.method)
            raise LoginFailed
        return right

    async def spend(self, user: User, right: RightSolution, session: ClientSession) -> None:
        """Let a solution be good no more, and forget the failures.

        Raises LoginFailed if it was used meanwhile.
        """
        if right.method == "totp":
            is_unused = await self._accounts.use_step(user.id, right.sealed, right.step, session)
        else:
            is_unused = await self._accounts.use_recovery_code(user.id, right.digest, session)
        if not is_unused:
            raise LoginFailed
        await self._lockout.clear(user.id, session)
        if right.method == "recovery_code":
            await self._notices.add(messages.of("recovery_code_used"), user, session)

    def committed(self) -> None:
        """That transaction has been committed: send at once what the owner is notified of."""
        self._notices.wake()

    async def failed(self, user: User, method: Method) -> None:
        """Count a failure; the owner is notified once, since who fails here has the password."""
        if method != "totp" or not await self._lockout.failed(user.id, user.user_id):
            return

        async def work(session: ClientSession) -> bool:
            await self._notices.add(messages.of("totp_failed"), user, session)
            return True

        await self._changes.make(work, lambda _: [], None)
        self._notices.wake()

    async def _compare_totp(self, account: Account, code: str) -> RightSolution | None:
        await self._lockout.attempt(account.id)
        totp = account.active_totp
        if totp is None:
            return None
        secret = self._secrets.open(account.id, totp.sealed)
        step = step_of(secret, code, self._clock.now(), after=totp.last_step)
        return None if step is None else RightSolution("totp", step, totp.sealed)

    async def _compare_recovery_code(self, account: Account, code: str) -> RightSolution | None:
        """Nobody can guess one, so these are good while codes of the app are locked, and end the lock."""
        digest = recovery_codes.digest_of(code)
        if not recovery_codes.is_among(digest, account.recovery_codes):
            return None
        return RightSolution("recovery_code", digest=digest)
