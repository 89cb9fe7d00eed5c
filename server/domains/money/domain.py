"""Money, wired."""

from collections.abc import Sequence
from typing import Any

from finlink.money.v1 import (
    account_service_pb2,
    account_service_pb2_grpc,
    budget_service_pb2,
    budget_service_pb2_grpc,
    category_service_pb2,
    category_service_pb2_grpc,
    rate_service_pb2,
    rate_service_pb2_grpc,
    transaction_pb2,
    transaction_service_pb2,
    transaction_service_pb2_grpc,
)

from server.core.health import HealthCheck
from server.domains.money import metrics
from server.domains.money.accounts import convert as account_convert
from server.domains.money.accounts import store as account_store
from server.domains.money.accounts.erasure import AccountErasure
from server.domains.money.accounts.service import AccountService
from server.domains.money.accounts.servicer import AccountServicer
from server.domains.money.accounts.store import AccountStore
from server.domains.money.budgets import convert as budget_convert
from server.domains.money.budgets import store as budget_store
from server.domains.money.budgets.items import BudgetItems
from server.domains.money.budgets.performance import BudgetPerformance
from server.domains.money.budgets.service import BudgetService
from server.domains.money.budgets.servicer import BudgetServicer
from server.domains.money.budgets.store import BudgetStore
from server.domains.money.budgets.writing import BudgetWriter
from server.domains.money.categories import convert as category_convert
from server.domains.money.categories import store as category_store
from server.domains.money.categories.service import CategoryService
from server.domains.money.categories.servicer import CategoryServicer
from server.domains.money.categories.store import CategoryStore
from server.domains.money.categories.usual import UsualCategories
from server.domains.money.ledger import store as ledger_store
from server.domains.money.ledger.changes import MoneyChanges
from server.domains.money.ledger.erasure import MoneyDependents, UserErasure
from server.domains.money.ledger.keyless import SealedMoney
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.ledger.service import Book
from server.domains.money.ledger.store import ErasureStore, LedgerStore
from server.domains.money.posting import store as posting_store
from server.domains.money.posting.building import built_posting
from server.domains.money.posting.memory import PayeeMemory
from server.domains.money.posting.remembering import Remembering
from server.domains.money.posting.store import OriginStore, PayeeStore
from server.domains.money.posting.valued import store as value_store
from server.domains.money.rates import store as rate_store
from server.domains.money.rates.loading import LOOK_SECONDS, REPORT_SECONDS, RateLoading
from server.domains.money.rates.service import RateService
from server.domains.money.rates.servicer import RateServicer
from server.domains.money.rates.store import RateStore
from server.domains.money.sealing.service import MoneyKeys
from server.domains.money.settings import MoneySettings
from server.domains.money.transactions import convert as transaction_convert
from server.domains.money.transactions import store as transaction_store
from server.domains.money.transactions.building import built_transactions
from server.domains.money.transactions.export import TransactionExport
from server.domains.money.transactions.lookups import Lookups
from server.domains.money.transactions.servicer import TransactionServicer
from server.domains.money.transactions.verification.service import LOOK_SECONDS as CHECK_SECONDS
from server.domains.money.transactions.verification.service import Sampling, Verification
from server.domains.money.transactions.verification.store import CheckStore
from server.kernel import Domain, Kernel, Parts
from server.storage.background import Background
from server.storage.data_keys import DataKeyStore

NEWEST = 50  # transactions that come with an account
ERASE_SECONDS = 5.0  # between two looks for what is to be erased


def build(kernel: Kernel, others: Sequence[Parts]) -> Parts:
    database = kernel.database
    keys = MoneyKeys(DataKeyStore(database, kernel.ring))
    categories, accounts = CategoryStore(database), AccountStore(database)
    erasures = ErasureStore(database)
    usual = UsualCategories(categories)
    book = Book(LedgerStore(database), keys, kernel.users, usual.make)
    changes = MoneyChanges(kernel.changes, book)
    budgets = BudgetStore(database)
    of_budgets = changes.counted_as("budget")
    writer = BudgetWriter(of_budgets, budgets, categories, kernel.clock)
    budget_service = BudgetService(
        of_budgets, book, budgets, writer, accounts, kernel.users, kernel.clock
    )
    budget_items = BudgetItems(of_budgets, writer, kernel.users, kernel.clock)
    category_service = CategoryService(
        changes.counted_as("category"), keys, categories, kernel.users, [budget_service]
    )
    (feed,) = [parts.feed for parts in others if parts.feed is not None]
    memory = PayeeMemory(PayeeStore(database), Lookups(accounts, categories))
    remembering = Remembering(OriginStore(database), feed)
    of_transactions = changes.counted_as("transaction")
    transactions = built_transactions(
        kernel, of_transactions, book, accounts, categories, memory, [remembering]
    )
    posting = built_posting(
        kernel, feed, of_transactions, keys, accounts, transactions, memory, remembering
    )
    account_service = AccountService(
        changes, book, keys, accounts, kernel.users, kernel.clock, posting.streams
    )
    account_erasure = AccountErasure(database, book, accounts, [*posting.rows, transactions.store])
    user_erasure = UserErasure(
        erasures, [*posting.owned, book, categories, accounts, budgets, *transactions.owned]
    )
    settings, rate_table = kernel.settings.of(MoneySettings), RateStore(database)
    rates = RateService(kernel.changes, rate_table, kernel.users, kernel.clock)
    performance = BudgetPerformance(
        budget_service, book, accounts, categories, rates, kernel.users, kernel.clock
    )
    loading = RateLoading(
        kernel.changes, rate_table, kernel.leases, kernel.clock,
        settings.exchange_rates_file, settings.exchange_rates_url,
    )  # fmt: skip

    async def newest(owner: MoneyOwner, account_id: str) -> list[transaction_pb2.Transaction]:
        found = await transactions.views.newest_of_account(owner, account_id, NEWEST)
        return [transaction_convert.transaction(each) for each in found]

    metrics.show_zeros()
    checks = CheckStore(database)
    verification = Verification(book, transactions.store, checks)
    sampling = Sampling(verification, checks, kernel.clock)

    def register(server: Any) -> None:
        category_service_pb2_grpc.add_CategoryServiceServicer_to_server(
            CategoryServicer(category_service), server
        )
        account_service_pb2_grpc.add_AccountServiceServicer_to_server(
            AccountServicer(account_service, newest, posting.streams, kernel.clock), server
        )
        rate_service_pb2_grpc.add_RateServiceServicer_to_server(RateServicer(rates), server)
        transaction_service_pb2_grpc.add_TransactionServiceServicer_to_server(
            TransactionServicer(
                transactions.service,
                transactions.deletion,
                transactions.matching,
                transactions.views,
                transactions.reconciling,
            ),
            server,
        )
        budget_service_pb2_grpc.add_BudgetServiceServicer_to_server(
            BudgetServicer(budget_service, budget_items, performance), server
        )

    return Parts(
        register=register,
        background=[
            Background("load exchange rates", loading.load_due, LOOK_SECONDS),
            Background("look how old exchange rates are", loading.report_age, REPORT_SECONDS),
            posting.background,
        ],
        engines=[
            posting.engine,
            Background("erase accounts", account_erasure.erase_some, ERASE_SECONDS),
            Background("erase the money of users", user_erasure.erase_some, ERASE_SECONDS),
            Background("recount a sample of ledgers", sampling.sample_due, CHECK_SECONDS),
        ],
        dependents=[MoneyDependents(book, erasures)],
        checks=[HealthCheck("money", sampling.health), HealthCheck("jobs", posting.poster.health)],
        exporters=[
            category_service,
            account_service,
            TransactionExport(transactions.views, kernel.users),
            budget_service,
        ],
        exported={
            "category": category_convert.exported,
            "account": account_convert.exported,
            "transaction": transaction_convert.exported,
            "budget": budget_convert.exported,
        },
    )


DOMAIN = Domain(
    contract=[
        category_service_pb2.DESCRIPTOR, account_service_pb2.DESCRIPTOR, rate_service_pb2.DESCRIPTOR,
        transaction_service_pb2.DESCRIPTOR, budget_service_pb2.DESCRIPTOR,
    ],
    build=build,
    indexes=lambda _: {
        **ledger_store.INDEXES, **category_store.INDEXES, **account_store.INDEXES, **rate_store.INDEXES,
        **transaction_store.INDEXES, **budget_store.INDEXES, **posting_store.INDEXES, **value_store.INDEXES,
    },
    sealed=SealedMoney,
    stage=1,  # it takes what connectors sync
)  # fmt: skip
