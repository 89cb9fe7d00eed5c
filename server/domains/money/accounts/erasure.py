"""Erases in the background what is left of deleted accounts."""

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from server.core.errors import SessionEnded
from server.domains.money.accounts.store import AccountStore
from server.domains.money.ledger.service import Book
from server.storage.driver import ClientSession, Database


class AccountRows(Protocol):
    """Data of accounts in another collection."""

    async def erase(self, owner: str, account_id: str) -> None:
        """Remove all of it. Nothing of it is in any sum any more."""


class AccountErasure:
    """Any worker does it, also several at once; one that dies leaves the rest to the next.

    An account whose erasure fails keeps no other waiting.
    """

    def __init__(
        self,
        database: Database,
        book: Book,
        store: AccountStore,
        rows: Sequence[AccountRows] = (),
    ) -> None:
        self._database = database
        self._book = book
        self._store = store
        self._rows = rows

    async def erase_some(self) -> bool:
        """Erase one account; False where none was deleted."""
        account = await self._store.being_erased()
        if account is None:
            return False
        for rows in self._rows:
            await rows.erase(account.owner, account.id)
        try:
            await self._database.transact(partial(self._forget, account.owner, account.id))
        except SessionEnded:  # its user is gone, with the whole ledger
            await self._store.remove(account.id)
        return True

    async def _forget(self, owner: str, account_id: str, session: ClientSession) -> None:
        change = await self._book.open(owner, session)
        change.forget_account(account_id)
        await change.save()
        await self._store.remove(account_id, session)
