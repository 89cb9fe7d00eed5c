"""Accounts. Amounts are whole minor units of its currency."""

from dataclasses import dataclass
from datetime import date, datetime

import msgspec
from finlink_words import AccountSource, AccountType

from server.core.model import Id, Model
from server.core.money import Money
from server.domains.money.ledger.model import Balance
from server.domains.money.ledger.month import Number

# Whose accounts budgets cover by default.
ON_BUDGET = frozenset({"bank", "cash", "wallet", "credit_card"})


class Given(Model, frozen=True):
    """An amount as a caller sent it. Without a currency it is in the account's."""

    value: str
    currency: str | None = None


class AccountFields(Model, frozen=True):
    """The fields of an account that callers change, beside its opening balance."""

    name: str
    type: AccountType
    currency: str
    opening_date: date | None = None
    institution: str | None = None
    mask: str | None = None
    on_budget: bool | None = None  # None: as its type has it
    in_net_worth: bool = True
    archived: bool = False


class NewAccount(Model, frozen=True):
    """An account to be created, as the caller gave it."""

    name: str
    type: AccountType
    currency: str | None = None  # None: the user's own
    opening_balance: Given | None = None
    opening_date: date | None = None
    institution: str | None = None
    mask: str | None = None
    on_budget: bool | None = None
    in_net_worth: bool = True


class Account(AccountFields, frozen=True, kw_only=True):
    """An account with what its ledger has."""

    id: str
    rev: int  # of the owner's ledger, when the account itself was last changed
    opening: int = 0
    source: AccountSource = "manual"
    provider: str | None = None
    connector_id: str | None = None
    linked_at: datetime | None = None
    stream: str | None = None  # of the connector
    sums: Balance = Balance()

    @property
    def account_id(self) -> str:
        return self.id

    @property
    def opening_balance(self) -> Money:
        return Money(self.opening, self.currency)

    @property
    def balance(self) -> Money:
        return Money(self.sums.balance, self.currency)

    @property
    def reconciled(self) -> Money:
        return Money(self.sums.reconciled, self.currency)

    @property
    def last_transaction_date(self) -> str | None:
        return self.sums.last_day.isoformat() if self.sums.last_day else None

    @property
    def etag(self) -> str:
        """Another one also when the balance has moved."""
        return str(max(self.rev, self.sums.rev))


class Texts(msgspec.Struct, array_like=True):
    """The sealed part: texts of a person or a bank, and the opening balance."""

    name: str
    institution: str | None
    mask: str | None
    opening: Number
    stream: str | None = None


class StoredAccount(Model, frozen=True):
    id: Id
    owner: Id
    type: AccountType
    currency: str
    on_budget: bool
    in_net_worth: bool
    archived: bool
    rev: int
    sealed: bytes
    source: AccountSource = "manual"
    opening_date: date | None = None
    provider: str | None = None
    connector_id: Id | None = None
    linked_at: datetime | None = None
    name_token: bytes | None = None  # of all but those that are being erased
    deleting_at: datetime | None = None


@dataclass(frozen=True)
class AccountFilter:
    type: str | None = None
    source: str | None = None
    archived: bool = False

    def passes(self, account: StoredAccount) -> bool:
        return (
            account.archived == self.archived
            and self.type in {None, account.type}
            and self.source in {None, account.source}
        )


@dataclass(frozen=True)
class UpdatedAccount:
    account: Account
    counts_otherwise: bool  # whether another opening date has changed which transactions count
