"""Facts of the user's accounts and categories that rules of transactions need."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from server.core import money
from server.core.errors import InvalidRequest
from server.domains.money.accounts.errors import AccountArchived, AccountNotFound
from server.domains.money.categories.errors import CategoryNotFound
from server.domains.money.transactions.model import Amount, Foreign, Kind, Transaction

ACCOUNT, CATEGORY = "accountId", "categoryId"  # fields

# The type of the categories that a kind takes; the others take none.
CATEGORY_TYPES: Mapping[Kind, str] = {"expense": "expense", "refund": "expense", "income": "income"}


@dataclass(frozen=True, slots=True)
class AccountFacts:
    id: str
    currency: str
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Accounts and the types of categories by id, of those that a change names and that the user has."""

    accounts: Mapping[str, AccountFacts]
    category_types: Mapping[str, str]

    def account(self, account_id: str, field: str = ACCOUNT) -> AccountFacts:
        """Raises AccountNotFound naming the field."""
        if (account := self.accounts.get(account_id)) is None:
            raise AccountNotFound.about(field)
        return account

    def open_account(self, account_id: str, field: str = ACCOUNT) -> AccountFacts:
        """One that takes new transactions. Raises AccountNotFound, AccountArchived naming the field."""
        account = self.account(account_id, field)
        if account.archived:
            raise AccountArchived.about(field)
        return account

    def there(self, transaction: Transaction | None) -> Transaction | None:
        """The same, unless its account was deleted: it is about to be erased."""
        known = transaction is not None and transaction.account_id in self.accounts
        return transaction if known else None

    def category_type(self, category_id: str, field: str = CATEGORY) -> str:
        """Raises CategoryNotFound naming the field."""
        if (found := self.category_types.get(category_id)) is None:
            raise CategoryNotFound.about(field)
        return found

    def check_category(self, category_id: str | None, kind: Kind, field: str) -> None:
        """Raises CategoryNotFound, and InvalidRequest where the category does not fit the kind."""
        if category_id is None:
            return
        wanted = CATEGORY_TYPES.get(kind)
        if wanted is None:
            raise InvalidRequest.of(
                field, f"must be left out: a transaction of kind {kind} has none"
            )
        if self.category_type(category_id, field) != wanted:
            raise InvalidRequest.of(
                field, f"must be a category of type {wanted}, as kind {kind} takes"
            )


def fitting(transaction: Transaction, facts: Facts) -> Transaction:
    """The same without categories that are not there any more, or have become ones of another type."""
    wanted, types = CATEGORY_TYPES.get(transaction.kind), facts.category_types

    def kept(category_id: str | None) -> str | None:
        known = category_id is not None and types.get(category_id) == wanted
        return category_id if known else None

    parts = tuple(replace(each, category_id=kept(each.category_id)) for each in transaction.parts)
    return replace(transaction, category_id=kept(transaction.category_id), parts=parts)


def positive_units(given: Amount, currency: str, field: str) -> int:
    """The units of an amount in the account's currency. Raises InvalidRequest naming value or currency."""
    if given.currency not in {None, currency}:
        raise InvalidRequest.of(f"{field}.currency", f"must be {currency}, the account's")
    units = money.parse(given.value, currency, field).units
    if units <= 0:
        raise InvalidRequest.of(f"{field}.value", "must be more than 0")
    return units


def foreign_amount(given: Amount, field: str = "foreignAmount") -> Foreign:
    """Raises InvalidRequest naming value or currency."""
    if given.currency is None:
        raise InvalidRequest.of(f"{field}.currency", "is required")
    return Foreign(positive_units(given, given.currency, field), given.currency)
