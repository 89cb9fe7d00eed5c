"""Registering: a user who signs in with a password."""

import secrets

import structlog
from msgspec.structs import replace

from server.core.errors import FieldError, InvalidRequest, PermissionDenied
from server.core.events import Event
from server.core.users import NewUser, User, UserExists
from server.delivery.outbox import Outbox
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.passwords.hashing import PasswordHashing
from server.domains.identity.recovery.verification import EmailVerification
from server.domains.identity.settings import IdentitySettings
from server.domains.identity.signin.model import Registered
from server.kernel import Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_log = structlog.stdlib.get_logger("finlink.identity")


class Registration:
    def __init__(
        self,
        changes: RecordedChanges,
        users: Users,
        accounts: AccountStore,
        hashing: PasswordHashing,
        verification: EmailVerification,
        outbox: Outbox,
        settings: IdentitySettings,
    ) -> None:
        self._changes = changes
        self._users = users
        self._accounts = accounts
        self._hashing = hashing
        self._verification = verification
        self._outbox = outbox
        self._is_open = settings.registration == "open"
        self._must_verify = settings.must_verify_email

    async def register(self, new: NewUser, password: str) -> Registered:
        """Create a user who has this password, at once or when the address has been verified.

        Raises PermissionDenied if nobody may register, InvalidRequest for a password that is too easy to
        guess, UserExists, DeliveryUnavailable, and Unavailable if too many come at this moment.
        """
        if not self._is_open:
            raise PermissionDenied("Registration is closed")
        if self._must_verify:
            self._outbox.require("mail")
        async with self._hashing.place(known_device=False) as place:
            problem = await place.check_new_password(password, user_id=new.user_id, email=new.email)
            if problem is not None:
                raise InvalidRequest.of("password", problem)
            hashed = await place.hash(password)
        if self._must_verify:
            return await self._register_later(new, hashed)
        return await self._register_now(new, hashed)

    async def _register_now(self, new: NewUser, hashed: str) -> Registered:
        async def work(session: ClientSession) -> User:
            user = await self._users.create(new, session)
            await self._accounts.set_password(user.id, user.user_id, hashed, session)
            if self._outbox.can_send("mail"):
                await self._verification.begin(user, hashed, session)
            return user

        user = await self._changes.make(
            work, lambda user: Event("user.registered", user.user_id, fields=new.given), None
        )
        self._outbox.wake()
        _log.info("user registered", user_id=user.user_id)
        return Registered(user.user_id, new.email or "", verification_required=False)

    async def _register_later(self, new: NewUser, hashed: str) -> Registered:
        """Two who register one address do not meet: who opens the mail gets it."""
        await self._check_free(new.user_id)
        owner = await self._users.find("email", new.email or "")
        decoy = not await self._verification.may_send(new.email or "")

        async def work(session: ClientSession) -> bool:
            if owner is None:
                await self._verification.begin_registration(new, hashed, session, decoy=decoy)
            else:
                await self._verification.notify_owner(owner, session, decoy=decoy)
            return True

        await self._changes.make(work, lambda _: [], None)
        self._outbox.wake()
        return Registered(new.user_id, new.email or "", verification_required=True)

    async def _check_free(self, user_id: str) -> None:
        """Raises UserExists: a `userId` is no secret, unlike an address."""
        if await self._users.find("userId", user_id) is not None:
            message = "User ID already exists"
            raise UserExists(message, fields=[FieldError("userId", message)])


def named(new: NewUser) -> NewUser:
    """With a `userId`, if it has none: 20 random characters are nobody's yet."""
    if new.user_id:
        return new
    return replace(new, user_id="u_" + "".join(secrets.choice(_ALPHABET) for _ in range(20)))
