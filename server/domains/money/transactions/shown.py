"""A transaction with what is shown beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Gone:
    """A transaction that was deleted, in a list of changes."""

    id: str


@dataclass(frozen=True, slots=True)
class BulkResult:
    """All transactions of a request in its order; or what became of each, if each was for itself."""

    transactions: Sequence[Shown] = ()
    ids: Mapping[int, str] | None = None
    failures: Sequence[Failure] = ()


def shown(
    transaction: Transaction, other: Transaction | None, accounts: Mapping[str, AccountFacts]
) -> Shown:
    """The other leg is left out if its account is."""
    account = None if other is None else accounts.get(other.account_id)
    return Shown(
        transaction,
        accounts[transaction.account_id].currency,
        None if account is None else other,
        None if account is None else account.currency,
    )


def shown_of(work: Work, identifier: str, facts: Facts) -> Shown:
    """One that a change has made or changed."""
    transaction = work.get(identifier)
    return shown(transaction, work.other(transaction), facts.accounts)
