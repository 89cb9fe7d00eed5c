"""Which category the rows of a payee get: the one that the user gave to it last."""

from collections.abc import Iterable, Mapping, Sequence

from server.domains.money.ledger.change import LedgerChange
from server.domains.money.posting.payees import normal, payee_of
from server.domains.money.posting.store import PayeeStore
from server.domains.money.transactions.facts import CATEGORY_TYPES
from server.domains.money.transactions.lookups import Lookups
from server.domains.money.transactions.model import Kind, Transaction
from server.domains.money.transactions.work import CategoryMemory
from server.security.sealed_box import SealedBox


class PayeeMemory(CategoryMemory):
    """Driver errors pass through."""

    def __init__(self, payees: PayeeStore, lookups: Lookups) -> None:
        self.payees = payees
        self._lookups = lookups

    async def learn(self, change: LedgerChange, given: Sequence[Transaction]) -> None:
        learned = {
            _token(change.box, each.kind, payee): each.category_id
            for each in given
            if each.category_id is not None
            for payee in _payees_of(each)
        }
        await self.payees.remember(change.owner, learned, change.session)

    async def categories(
        self, change: LedgerChange, rows: Iterable[tuple[Kind, str]]
    ) -> Mapping[tuple[Kind, str], str]:
        """By kind and payee, of those that are known, a category that is there and fits."""
        tokens = {_token(change.box, *row): row for row in rows}
        found = await self.payees.find(tokens, change.session)
        known = {
            tokens[token]: resolved
            for token, category_id in found.items()
            if (resolved := change.resolved(category_id)) is not None
        }
        types = (await self._lookups.facts(change, [], known.values())).category_types
        return {
            row: category_id
            for row, category_id in known.items()
            if types.get(category_id) == CATEGORY_TYPES.get(row[0])
        }


def _payees_of(transaction: Transaction) -> set[str]:
    """As the user and as the bank wrote it."""
    found = {transaction.payee, payee_of(transaction.bank_text or "")}
    return {each for each in found if each}


def _token(box: SealedBox, kind: Kind, payee: str) -> bytes:
    return box.token("payee", kind, normal(payee))
