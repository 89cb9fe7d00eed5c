"""Posting, put together."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.domains.money.accounts.erasure import AccountRows
from server.domains.money.accounts.store import AccountStore
from server.domains.money.ledger.changes import MoneyChanges
from server.domains.money.ledger.erasure import Owned
from server.domains.money.posting import metrics
from server.domains.money.posting.erasing import Erasing
from server.domains.money.posting.memory import PayeeMemory
from server.domains.money.posting.moving import Moving
from server.domains.money.posting.pairing import Pairing
from server.domains.money.posting.remembering import Remembering
from server.domains.money.posting.service import CONCURRENCY, LAG_SECONDS, Poster
from server.domains.money.posting.store import StreamStore
from server.domains.money.posting.streams import Streams
from server.domains.money.posting.tools import PostingTools
from server.domains.money.posting.valued.store import ValueStore
from server.domains.money.posting.values import Valuation
from server.domains.money.sealing.service import MoneyKeys
from server.domains.money.transactions.building import Transactions
from server.domains.money.transactions.walks.store import TransactionWalks
from server.jobs.scheduler import JobScheduler
from server.kernel import Engine, Kernel, RecordFeed
from server.storage.background import Background


@dataclass(frozen=True)
class PostingParts:
    poster: Poster
    streams: Streams
    engine: Engine
    background: Background
    rows: Sequence[AccountRows]  # what is kept of accounts; to be erased before their transactions
    owned: Sequence[Owned]  # what is kept of a user


def built_posting(
    kernel: Kernel,
    feed: RecordFeed,
    changes: MoneyChanges,
    keys: MoneyKeys,
    accounts: AccountStore,
    transactions: Transactions,
    memory: PayeeMemory,
    remembering: Remembering,
) -> PostingParts:
    metrics.show_zeros()
    database, clock, walks = kernel.database, kernel.clock, TransactionWalks(kernel.database)
    streams, values, origins = StreamStore(database), ValueStore(database), remembering.origins
    poster = Poster(
        PostingTools(
            feed=feed,
            changes=changes,
            users=kernel.users,
            accounts=accounts,
            streams=streams,
            origins=origins,
            store=transactions.store,
            walks=walks,
            deletions=transactions.log,
            memory=memory,
            valuation=Valuation(values),
            pairing=Pairing(walks, transactions.marks, transactions.lookups),
            erasing=Erasing(walks, origins),
            moving=Moving(walks, origins),
            clock=clock,
        )
    )
    return PostingParts(
        poster,
        Streams(changes, feed, keys, accounts, streams, values, clock),
        JobScheduler("postings", feed, poster.post, CONCURRENCY),
        Background("look for overdue postings", poster.report_lag, LAG_SECONDS),
        [streams, remembering, values],
        [values, origins, streams, memory.payees],
    )
