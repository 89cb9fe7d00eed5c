"""The users who sign in with a phone number."""

from dataclasses import dataclass

from server.core.clock import Clock
from server.core.events import Event
from server.core.users import User
from server.domains.identity.credentials.accounts.model import Account, Phone
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.notices import Notices
from server.domains.identity.credentials.phones import messages
from server.domains.identity.credentials.phones.model import PhoneOwner
from server.kernel import Users
from server.storage.driver import ClientSession
from server.storage.repository import new_id


@dataclass(frozen=True)
class PhoneOwners:
    _users: Users
    _accounts: AccountStore
    _notices: Notices
    _clock: Clock

    async def find(self, number: str) -> PhoneOwner | None:
        """Who signs in with a number, in E.164. It costs the same if nobody does."""
        account = await self._accounts.by_number(number)
        user = await self._users.find("id", account.id if account else new_id())
        return PhoneOwner(user, account) if user and account else None

    async def lock(self, number: str, session: ClientSession) -> PhoneOwner | None:
        """The same inside a transaction, until whose end neither user nor account changes."""
        account = await self._accounts.by_number(number, session)
        user = await self._users.lock_id(account.id, session) if account else None
        if account is None or user is None:
            return None
        return PhoneOwner(user, await self._accounts.lock(account.id, session))

    async def give(self, user: User, number: str, session: ClientSession) -> tuple[User, Account]:
        """Let a user, who has just proved a number, sign in with it. Raises PhoneTaken."""
        phone = Phone(number, self._clock.now())
        account = await self._accounts.set_phone(user.id, user.user_id, phone, session)
        changes = {"phoneVerified": True, "profile.phoneNumber": number}
        return await self._users.update(user.user_id, changes, session), account

    async def take_from(self, owner: PhoneOwner, session: ClientSession) -> Event:
        """Let an owner, who is notified, sign in with the number no more: it is somebody else's by now."""
        user = owner.user
        await self._accounts.remove_phone(user.id, session)
        await self._users.update(user.user_id, {"phoneVerified": False}, session)
        await self._notices.add(messages.lost, user, session)
        return Event("user.phone_changed", user.user_id, fields=("phone",))

    async def notify(self, user: User, session: ClientSession) -> None:
        """Let a user know that the number that signs in to the account is another one."""
        await self._notices.add(messages.changed, user, session)
