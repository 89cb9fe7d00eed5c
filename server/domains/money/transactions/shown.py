"""A transaction with what is shown beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from server.domains.money.transactions.batch import Failure
from server.domains.money.transactions.facts import AccountFacts, Facts
from server.domains.money.transactions.model import Transaction
from server.domains.money.transactions.work import Work


@dataclass(frozen=True, slots=True)
class Shown:
    transaction: Transaction
    currency: str
    other: Transaction | None = None  # the other leg of its transfer
    other_currency: str | None = None
    balance_after: int | None = None
    merged: int = 0  # the revision in which a category of it last took another one over

    @property
    def etag(self) -> str:
        """Its revision; then that of what is shown beside it, if it is newer. See `revision_of`."""
        rev, other = self.transaction.rev, self.other
        if other is None and self.transaction.is_paired:
            return f"{rev}-0"  # its account was deleted
        beside = max(self.merged, other.rev if other is not None else 0)
        return f"{rev}-{beside}" if beside > rev else str(rev)


@dataclass(frozen=True, slots=True)
class Gone:
    """A transaction that was deleted, in a list of changes."""

    id: str


@dataclass(frozen=True, slots=True)
class BulkResult:
    """All transactions of a request in its order; or what became of each, if each was for itself."""

    made: int  # how many did not fail, and were not there before
    transactions: Sequence[Shown] = ()
    ids: Mapping[int, str] | None = None
    failures: Sequence[Failure] = ()


def shown(
    transaction: Transaction,
    other: Transaction | None,
    accounts: Mapping[str, AccountFacts],
    merged: Mapping[str | None, int] = MappingProxyType({}),
) -> Shown:
    """The other leg is left out if its account is. `merged` is that of `LedgerView`."""
    account = None if other is None else accounts.get(other.account_id)
    return Shown(
        transaction,
        accounts[transaction.account_id].currency,
        None if account is None else other,
        None if account is None else account.currency,
        merged=max((merged.get(each, 0) for each in transaction.categories), default=0),
    )


def shown_of(work: Work, identifier: str, facts: Facts) -> Shown:
    """One that a change has made or changed."""
    transaction = work.get(identifier)
    return shown(transaction, work.other(transaction), facts.accounts)
