"""The parts that posting is made of."""

from dataclasses import dataclass

from server.core.clock import Clock
from server.domains.money.accounts.store import AccountStore
from server.domains.money.ledger.changes import MoneyChanges
from server.domains.money.posting.erasing import Erasing
from server.domains.money.posting.memory import PayeeMemory
from server.domains.money.posting.moving import Moving
from server.domains.money.posting.pairing import Pairing
from server.domains.money.posting.store import OriginStore, StreamStore
from server.domains.money.posting.values import Valuation
from server.domains.money.transactions.remembered import DeletionLog
from server.domains.money.transactions.store import TransactionStore
from server.domains.money.transactions.walks.store import TransactionWalks
from server.kernel import RecordFeed, Users


@dataclass(frozen=True)
class PostingTools:
    feed: RecordFeed
    changes: MoneyChanges
    users: Users
    accounts: AccountStore
    streams: StreamStore
    origins: OriginStore
    store: TransactionStore
    walks: TransactionWalks
    deletions: DeletionLog
    memory: PayeeMemory
    valuation: Valuation
    pairing: Pairing
    erasing: Erasing
    moving: Moving
    clock: Clock
