"""Ends the money of users who are deleted: unreadable at once, erased in the background."""

from collections.abc import Sequence
from typing import Protocol

from server.core.users import User
from server.domains.money.ledger.service import Book
from server.domains.money.ledger.store import ErasureStore
from server.kernel import UserDependents
from server.storage.driver import ClientSession


class Owned(Protocol):
    """Data of users in one collection."""

    async def erase(self, owner: str) -> None:
        """Remove all of it. The key that it was sealed with is gone, so nobody can add to it."""


class MoneyDependents(UserDependents):
    def __init__(self, book: Book, erasures: ErasureStore) -> None:
        self._book = book
        self._erasures = erasures

    async def delete(self, user: User, session: ClientSession) -> None:
        """Destroy the key. A change of the user's money that is under way is undone by that."""
        if await self._book.end(user.id, session):
            await self._erasures.add(user.id, session)


class UserErasure:
    """Any worker does it, also several at once; one that dies leaves the rest to the next.

    A user whose erasure fails keeps nobody waiting: all others come before the next try.
    """

    def __init__(self, erasures: ErasureStore, owned: Sequence[Owned]) -> None:
        self._erasures = erasures
        self._owned = owned

    async def erase_some(self) -> bool:
        """Erase what is left of one user; False where there is none."""
        owner = await self._erasures.next()
        if owner is None:
            return False
        for each in self._owned:
            await each.erase(owner)
        await self._erasures.remove(owner)
        return True
