"""The end of each way to sign in: a session begins, or a second factor is asked for."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from server.core.clock import Clock
from server.core.events import Event
from server.core.model import Changes
from server.core.users import User
from server.domains.identity.credentials.accounts.model import Account
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.challenges.model import NewChallenge
from server.domains.identity.credentials.challenges.store import ChallengeStore
from server.domains.identity.errors import UserNotActive
from server.domains.identity.sessions.model import Begun, NewSession
from server.domains.identity.sessions.service import SessionService
from server.domains.identity.signin.model import CHALLENGE_LIFE, Challenged, Opened, Proof
from server.domains.identity.signin.opening import Opening
from server.kernel import Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

# A part of the login's transaction, beside the session; it gets the account, which is locked.
Within: TypeAlias = Callable[[Account, ClientSession], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Made:
    """A user who is made by a login, and what else happens with that."""

    user: User
    account: Account
    events: Sequence[Event] = ()


class _FactorAdded(Exception):
    """One factor is not enough any more."""

    def __init__(self, account: Account) -> None:
        super().__init__()
        self.account = account


_log = structlog.stdlib.get_logger("finlink.identity")


class Completion:
    def __init__(
        self,
        changes: RecordedChanges,
        users: Users,
        accounts: AccountStore,
        sessions: SessionService,
        challenges: ChallengeStore,
        opening: Opening,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._users = users
        self._accounts = accounts
        self._sessions = sessions
        self._challenges = challenges
        self._opening = opening
        self._clock = clock

    async def complete(
        self, user: User, account: Account, proof: Proof, within: Within
    ) -> Opened | Challenged:
        """Go on after a first factor. Raises UserNotActive, and what `within` raises."""
        if not user.is_active:
            raise UserNotActive
        if account.second_factors:
            return await self._challenge(user, account, proof, within)

        async def alone(now: Account, session: ClientSession) -> None:
            # A second factor may have been added since the account was read, as a hash takes its time.
            if now.second_factors:
                raise _FactorAdded(now)
            await within(now, session)

        try:
            return await self.begin(user, account, proof, alone)
        except _FactorAdded as added:
            return await self._challenge(user, added.account, proof, within)

    async def begin(
        self,
        user: User,
        account: Account,
        proof: Proof,
        within: Within,
        events: Sequence[Event] = (),
    ) -> Opened:
        """Begin the session of a user who has proved enough; `events` are recorded with the login."""
        new = NewSession(user.id, proof.session, proof.amr, proof.caller, proof.device_name)

        async def work(session: ClientSession) -> tuple[Begun, User]:
            begun = await self._sessions.begin(new, session)
            await within(await self._accounts.lock(user.id, session), session)
            changed: Changes = {"lastLoginAt": begun.session.created_at}
            return begun, await self._users.update(user.user_id, changed, session)

        recorded = [*events, Event("user.logged_in", user.user_id)]
        begun, user = await self._changes.make(work, lambda _: recorded, None)
        _log.info("user signed in", user_id=user.user_id, session_id=begun.session.id)
        return await self._opening.opened(begun, user, account)

    async def begin_new(
        self, make: Callable[[ClientSession], Awaitable[Made]], given: list[str], proof: Proof
    ) -> Opened:
        """Begin the session of a user who is made in the same transaction. Raises what `make` raises.

        `given` names the fields that the user comes with.
        """

        async def work(session: ClientSession) -> tuple[Made, Begun, User]:
            made = await make(session)
            user = made.user
            new = NewSession(user.id, proof.session, proof.amr, proof.caller, proof.device_name)
            begun = await self._sessions.begin(new, session)
            changed: Changes = {"lastLoginAt": begun.session.created_at}
            return made, begun, await self._users.update(user.user_id, changed, session)

        def events(result: tuple[Made, Begun, User]) -> Sequence[Event]:
            made, _, user = result
            registered = Event("user.registered", user.user_id, fields=given)
            return [*made.events, registered, Event("user.logged_in", user.user_id)]

        made, begun, user = await self._changes.make(work, events, None)
        return await self._opening.opened(begun, user, made.account)

    async def _challenge(
        self, user: User, account: Account, proof: Proof, within: Within
    ) -> Challenged:
        until = self._clock.now() + CHALLENGE_LIFE
        new = NewChallenge(kind="second_factor", expires_at=until, user=user.id, data=proof.kept())

        async def work(session: ClientSession) -> str:
            # Who ends the user's challenges changes the account too, so none is left that begins meanwhile.
            await within(await self._accounts.lock(user.id, session), session)
            return (await self._challenges.add(new, session)).id

        challenge_id = await self._changes.make(work, lambda _: [], None)
        return Challenged(challenge_id, account.second_factors, until)
