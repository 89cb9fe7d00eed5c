"""Where domains put messages: in the transaction of the change that they are about."""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from server.delivery.errors import DeliveryUnavailable
from server.delivery.message import CHANNELS, Channel, Message
from server.delivery.sealing import Sealer
from server.delivery.store import DeliveryStore, new_reference
from server.storage.driver import ClientSession


class Outbox:
    """Driver errors pass through."""

    def __init__(
        self,
        store: DeliveryStore,
        sealer: Sealer,
        channels: Collection[Channel],
        now: Callable[[], datetime],
        wake: Callable[[], None],
    ) -> None:
        """`channels` are those that something is configured for; `wake` makes workers look at once."""
        self._store = store
        self._sealer = sealer
        self._channels = frozenset(channels)
        self._now = now
        self._wake = wake

    def can_send(self, channel: Channel) -> bool:
        """Whether anything is configured that could send by it."""
        return channel in self._channels

    def require(self, channel: Channel) -> None:
        """Raise DeliveryUnavailable if nothing is configured that could send by it.

        Ask before anything depends on who the message is for.
        """
        if channel not in self._channels:
            raise DeliveryUnavailable

    def not_configured(self) -> list[Channel]:
        """The channels by which nothing can be sent."""
        return [each for each in CHANNELS if each not in self._channels]

    async def overdue(self) -> timedelta:
        """How long the message that is most overdue has waited for a worker."""
        now, jobs = self._now(), self._store.jobs
        since = await asyncio.gather(*(jobs[each].due_since(now) for each in self._channels))
        oldest = min((each for each in since if each is not None), default=now)
        return max(now - oldest, timedelta(0))

    async def add(self, message: Message, session: ClientSession) -> str:
        """Have a message sent once the transaction has committed; its reference.

        It may arrive twice if a worker dies. Raises DeliveryUnavailable.
        """
        return await self._add(message, session, decoy=False)

    async def add_decoy(self, message: Message, session: ClientSession) -> str:
        """The same work for a message that is never sent, so that its absence cannot be measured.

        Give it all that the real one would have, a `user` too: any id will do.
        """
        return await self._add(message, session, decoy=True)

    def wake(self) -> None:
        """Send what was added at once; call it after the commit. Otherwise a worker looks each second."""
        self._wake()

    async def remove_of(self, user: str, session: ClientSession) -> None:
        """Remove all that is about a user (`User.id`), in the transaction that deletes the user."""
        await self._store.remove_of(user, session)

    async def _add(self, message: Message, session: ClientSession, *, decoy: bool) -> str:
        self.require(message.channel)
        reference = new_reference()
        sealed = self._sealer.seal(message, reference)
        await self._store.insert(reference, message, sealed, self._now(), session, decoy=decoy)
        return reference
