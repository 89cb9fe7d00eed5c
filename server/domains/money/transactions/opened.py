"""The parts of a user's money that are needed to read transactions."""

from collections.abc import Mapping
from dataclasses import dataclass

from server.domains.money.ledger.service import Book
from server.domains.money.transactions.facts import AccountFacts
from server.domains.money.transactions.lookups import Lookups
from server.security.sealed_box import SealedBox
from server.storage.driver import ClientSession


@dataclass(frozen=True, slots=True)
class OpenedMoney:
    owner: str
    rev: int
    box: SealedBox
    accounts: Mapping[str, AccountFacts]  # all that are there
    aliases: Mapping[str, str | None]  # by category that was merged, what it stands for
    merged: Mapping[str | None, int]  # by what they stand for, the revision of the last one

    def resolved(self, category_id: str) -> str | None:
        """The category that one stands for; None for none."""
        return self.aliases.get(category_id, category_id)


async def opened_money(
    book: Book, lookups: Lookups, owner: str, session: ClientSession | None = None
) -> OpenedMoney | None:
    """None of a user who has no money yet."""
    view = await book.balances(owner, session)
    if view.box is None:
        return None
    found = await lookups.accounts(owner, session)
    there = {each: one for each, one in found.items() if each in view.balances}
    return OpenedMoney(owner, view.rev, view.box, there, view.aliases, view.merged)
