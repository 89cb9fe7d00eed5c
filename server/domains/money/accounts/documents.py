"""Accounts as they are stored: texts and the opening balance are sealed."""

from msgspec.structs import replace

from server.core.clock import utc_now
from server.domains.money.accounts.model import ON_BUDGET, Account, StoredAccount, Texts
from server.domains.money.ledger.model import Balance
from server.domains.money.ledger.month import stored_number
from server.security.sealed_box import SealedBox

_PLACE = "accounts"


def opened(stored: StoredAccount, box: SealedBox, sums: Balance) -> Account:
    texts = box.open(stored.sealed, Texts, place=f"{_PLACE}/{stored.id}")
    return Account(
        id=stored.id,
        name=texts.name,
        type=stored.type,
        currency=stored.currency,
        opening=int(texts.opening),
        opening_date=stored.opening_date,
        institution=texts.institution,
        mask=texts.mask,
        on_budget=stored.on_budget,
        in_net_worth=stored.in_net_worth,
        archived=stored.archived,
        source=stored.source,
        provider=stored.provider,
        connector_id=stored.connector_id,
        linked_at=stored.linked_at,
        stream=texts.stream,
        rev=stored.rev,
        sums=sums,
    )


def sealed(account: Account, owner: str, box: SealedBox) -> StoredAccount:
    opening = stored_number(account.opening)
    texts = Texts(account.name, account.institution, account.mask, opening, account.stream)
    return StoredAccount(
        id=account.id,
        owner=owner,
        type=account.type,
        currency=account.currency,
        on_budget=planned(account),
        in_net_worth=account.in_net_worth,
        archived=account.archived,
        rev=account.rev,
        sealed=box.seal(texts, place=f"{_PLACE}/{account.id}"),
        source=account.source,
        opening_date=account.opening_date,
        provider=account.provider,
        connector_id=account.connector_id,
        linked_at=account.linked_at,
        name_token=box.token("account name", account.name.casefold()),
    )


def planned(account: Account) -> bool:
    """Whether budgets cover it by default."""
    return account.type in ON_BUDGET if account.on_budget is None else account.on_budget


def leaving(stored: StoredAccount) -> StoredAccount:
    """An account that leaves every read, and whose name is free again, until all of it is erased."""
    return replace(stored, name_token=None, deleting_at=utc_now())
