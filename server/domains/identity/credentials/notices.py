"""Mails to owners about what was done to their accounts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from server.core.clock import Clock
from server.core.users import User
from server.delivery.message import Message
from server.delivery.outbox import Outbox
from server.storage.driver import ClientSession

# Given the address, until when the mail is good, and the `User.id`.
Writer: TypeAlias = Callable[[str, datetime, str], Message]

_GOOD_FOR = timedelta(days=1)


@dataclass(frozen=True)
class Notices:
    """Without a way to send mails there are none, and what they are about happens all the same."""

    _outbox: Outbox
    _clock: Clock

    async def add(self, write: Writer, user: User, session: ClientSession) -> None:
        """A mail to a user who has an address, in the transaction of what it is about."""
        if user.email is not None:
            await self.add_to(user.email, write, user, session)

    async def add_to(self, address: str, write: Writer, user: User, session: ClientSession) -> None:
        """The same to an address that the user has no more."""
        if self._outbox.can_send("mail"):
            until = self._clock.now() + _GOOD_FOR
            await self._outbox.add(write(address, until, user.id), session)

    def wake(self) -> None:
        """They were committed."""
        self._outbox.wake()
