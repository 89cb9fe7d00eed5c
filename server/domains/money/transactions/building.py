"""Transactions, put together."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.domains.money.accounts.store import AccountStore
from server.domains.money.categories.store import CategoryStore
from server.domains.money.ledger.changes import MoneyChanges
from server.domains.money.ledger.erasure import Owned
from server.domains.money.ledger.service import Book
from server.domains.money.transactions.deletion import TransactionDeletion
from server.domains.money.transactions.lookups import Lookups
from server.domains.money.transactions.marks import TransferMarks
from server.domains.money.transactions.matching import TransferMatching
from server.domains.money.transactions.origins import OriginMemory
from server.domains.money.transactions.reconciling import Reconciling
from server.domains.money.transactions.remembered import DeletionLog
from server.domains.money.transactions.service import TransactionService
from server.domains.money.transactions.store import TransactionStore
from server.domains.money.transactions.views import TransactionViews
from server.domains.money.transactions.work import CategoryMemory, WorkRunner
from server.kernel import Kernel


@dataclass(frozen=True)
class Transactions:
    store: TransactionStore
    service: TransactionService
    deletion: TransactionDeletion
    matching: TransferMatching
    views: TransactionViews
    reconciling: Reconciling
    log: DeletionLog
    marks: TransferMarks
    lookups: Lookups
    owned: Sequence[Owned]  # what is kept of a user


def built_transactions(
    kernel: Kernel,
    changes: MoneyChanges,
    book: Book,
    accounts: AccountStore,
    categories: CategoryStore,
    memory: CategoryMemory | None = None,
    memories: Sequence[OriginMemory] = (),
) -> Transactions:
    database, clock = kernel.database, kernel.clock
    store, log, marks = TransactionStore(database), DeletionLog(database), TransferMarks(database)
    lookups = Lookups(accounts, categories)
    works = WorkRunner(changes, store, log, clock, memory)
    views = TransactionViews(book, store, log, lookups, clock)
    return Transactions(
        store,
        TransactionService(works, store, lookups, kernel.users, clock),
        TransactionDeletion(works, store, lookups, clock, memories),
        TransferMatching(works, marks, lookups, views, clock),
        views,
        Reconciling(changes, store, lookups, clock),
        log,
        marks,
        lookups,
        [store, log, marks],
    )
