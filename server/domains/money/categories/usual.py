"""The categories that a new user has: name, picture and color, by type, in the order of lists."""

from collections.abc import Mapping, Sequence

from finlink_words import CategoryType

from server.domains.money.categories.documents import sealed
from server.domains.money.categories.model import Category
from server.domains.money.categories.store import CategoryStore
from server.domains.money.ledger.change import LedgerChange
from server.storage.repository import new_id

USUAL: Mapping[CategoryType, Sequence[tuple[str, str, str]]] = {
    "expense": [
        ("Groceries", "basket", "#43A047"),
        ("Eating out", "fork", "#FB8C00"),
        ("Housing", "house", "#6D4C41"),
        ("Utilities", "bulb", "#FDD835"),
        ("Transport", "car", "#1E88E5"),
        ("Health", "heart", "#E53935"),
        ("Shopping", "bag", "#D81B60"),
        ("Entertainment", "ticket", "#8E24AA"),
        ("Education", "book", "#3949AB"),
        ("Travel", "plane", "#00ACC1"),
        ("Insurance", "umbrella", "#00897B"),
        ("Other expenses", "dots", "#757575"),
    ],
    "income": [
        ("Salary", "briefcase", "#2E7D32"),
        ("Interest and dividends", "percent", "#558B2F"),
        ("Gifts", "gift", "#AD1457"),
        ("Other income", "dots", "#616161"),
    ],
}


class UsualCategories:
    def __init__(self, store: CategoryStore) -> None:
        self._store = store

    async def make(self, change: LedgerChange) -> None:
        """Give them to a ledger that was just made, in the transaction that makes it: once a ledger."""
        made = [
            Category(
                name, type_of, icon=icon, color=color, order=order, id=new_id(), rev=change.rev
            )
            for type_of, usual in USUAL.items()
            for order, (name, icon, color) in enumerate(usual, 1)
        ]
        stored = [sealed(each, change.owner, change.box) for each in made]
        await self._store.insert(stored, change.session)
