"""Use cases of accounts."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from dataclasses import replace as dataclass_replace
from datetime import date
from typing import Protocol

from msgspec.structs import asdict, replace

from server.core import money
from server.core.clock import Clock
from server.core.errors import InvalidRequest
from server.core.etags import check_etag, revision_of
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.core.model import Changes, changed
from server.core.money import Money
from server.domains.money.accounts.documents import leaving, opened, planned, sealed
from server.domains.money.accounts.errors import AccountInUse, AccountNotFound
from server.domains.money.accounts.model import (
    Account,
    AccountFilter,
    Given,
    NewAccount,
    StoredAccount,
    UpdatedAccount,
)
from server.domains.money.accounts.store import AccountStore
from server.domains.money.errors import LimitReached
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.ledger.changes import MoneyChanges
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.ledger.service import Book
from server.domains.money.sealing.service import MoneyKeys
from server.kernel import Exported, Users
from server.storage.repository import new_id

MAX_ACCOUNTS = 200


@dataclass(frozen=True)
class DayBalance:
    """The amounts of an account at the end of a day."""

    balance: Money
    reconciled: Money
    pending: Money
    date: str
    reported: Money | None = None  # what the bank says
    reported_date: str | None = None
    difference: Money | None = None  # `reported` less `balance`


class Reports(Protocol):
    """Balances and values of accounts, as banks and houses report them."""

    async def reported(self, owner: str, account_id: str) -> tuple[int, date] | None:
        """The newest balance, and its day."""

    async def value_on(self, owner: str, account_id: str, day: date) -> int | None:
        """The worth of an account without transactions at the end of a day."""


class AccountStreams(Protocol):
    """Which rows of connectors flow into an account."""

    async def attach(
        self, owner: MoneyOwner, account_id: str, connector_id: str, name: str,
        reply: KeyedReply | None = None,
    ) -> Account: ...  # fmt: skip

    async def detach(
        self, owner: MoneyOwner, account_id: str, reply: KeyedReply | None = None
    ) -> Account: ...


class AccountService:
    def __init__(
        self,
        changes: MoneyChanges,
        book: Book,
        keys: MoneyKeys,
        store: AccountStore,
        users: Users,
        clock: Clock,
        reports: Reports | None = None,
    ) -> None:
        self._reports = reports
        self._changes = changes
        self._book = book
        self._keys = keys
        self._store = store
        self._users = users
        self._clock = clock

    async def list(self, owner: MoneyOwner, where: AccountFilter | None) -> Sequence[Account]:
        """Those that pass a filter, or all, by name."""
        found = [
            each
            for each in await self._read(owner.id, None)
            if where is None or where.passes(each[0])
        ]
        accounts = [account for _, account in found]
        return sorted(accounts, key=lambda each: (each.name.casefold(), each.id))

    async def get(self, owner: MoneyOwner, account_id: str) -> Account:
        """Raises AccountNotFound."""
        found = await self._read(owner.id, [account_id])
        if not found:
            raise AccountNotFound
        return found[0][1]

    async def _read(
        self, owner: str, ids: Sequence[str] | None
    ) -> Sequence[tuple[StoredAccount, Account]]:
        """Accounts with their balances, of one moment."""
        async with self._book.moment() as session:
            stored = await self._store.of(owner, session, ids)
            if not stored:
                return []
            box = await self._keys.of(owner, session)
            balances = (await self._book.balances(owner, session)).balances
        return [(each, opened(each, box, balances[each.id])) for each in stored]

    async def balance(
        self, owner: MoneyOwner, account_id: str, day: date | None = None
    ) -> DayBalance:
        """The balance at the end of a day; without one, of today in the user's time zone.

        Raises AccountNotFound.
        """
        found = await self._store.of(owner.id, ids=[account_id])
        if not found:
            raise AccountNotFound
        if day is None:
            user = await self._users.get(owner.user_id)
            day = user.preferences.today(self._clock.now())
        try:
            sums = await self._book.balance_on(owner.id, found[0].id, day)
        except KeyError:  # deleted just now
            raise AccountNotFound from None
        currency = found[0].currency
        balance = DayBalance(
            Money(sums.balance, currency),
            Money(sums.reconciled, currency),
            Money(sums.pending, currency),
            day.isoformat(),
        )
        if self._reports is None or found[0].source != "connector":
            return balance
        return await self._with_report(owner.id, account_id, day, balance)

    async def reported(self, owner: MoneyOwner, account: Account) -> Money | None:
        """The newest balance that a bank reports; None for an account that its user keeps."""
        if self._reports is None or account.source != "connector":
            return None
        found = await self._reports.reported(owner.id, account.id)
        return None if found is None else Money(found[0], account.currency)

    async def _with_report(
        self, owner: str, account_id: str, day: date, balance: DayBalance
    ) -> DayBalance:
        if self._reports is None:
            return balance
        currency = balance.balance.currency
        value = await self._reports.value_on(owner, account_id, day)
        if value is not None:
            worth = Money(value, currency)
            return dataclass_replace(balance, balance=worth, reconciled=worth)
        reported = await self._reports.reported(owner, account_id)
        if reported is None or reported[1] > day:
            return balance
        units, as_of = reported
        return dataclass_replace(
            balance,
            reported=Money(units, currency),
            reported_date=as_of.isoformat(),
            difference=Money(units - balance.balance.units, currency),
        )

    async def create(
        self, owner: MoneyOwner, new: NewAccount, reply: KeyedReply | None = None
    ) -> Account:
        """Raises AccountExists, LimitReached, InvalidRequest."""
        currency = new.currency
        if currency is None:
            currency = (await self._users.get(owner.user_id)).preferences.currency
        _check_currency(currency)
        opening = _units(new.opening_balance, currency) if new.opening_balance else 0
        given = {**asdict(new), "currency": currency}
        del given["opening_balance"]

        async def work(change: LedgerChange) -> Account:
            if change.account_count >= MAX_ACCOUNTS:
                raise LimitReached.of(MAX_ACCOUNTS)
            made = Account(id=new_id(), rev=change.rev, opening=opening, **given)
            account = replace(made, on_budget=planned(made))
            await self._store.insert(sealed(account, owner.id, change.box), change.session)
            change.open_account(account.id, opening, account.opening_date)
            return replace(account, sums=change.balance(account.id))

        event = Event("account.created", owner.user_id)
        return await self._changes.make(owner, work, lambda _: event, reply)

    async def update(
        self,
        owner: MoneyOwner,
        account_id: str,
        changes: Changes,
        opening: Given | None = None,
        etag: str | None = None,
        reply: KeyedReply | None = None,
    ) -> UpdatedAccount:
        """Apply changes of fields, and of the opening balance.

        Raises AccountNotFound, AccountExists, EtagMismatch, InvalidRequest.
        """

        async def work(change: LedgerChange) -> UpdatedAccount:
            _, before = await self._locked(change, account_id, etag)
            after = replace(changed(before, changes), rev=change.rev)
            after = replace(after, on_budget=planned(after))
            if after.currency != before.currency:
                _check_new_currency(before, after, is_given=opening is not None)
            if opening is not None:
                after = replace(after, opening=_units(opening, after.currency))
            await self._store.replace(sealed(after, owner.id, change.box), change.session)
            counted = before.sums.balance - before.opening
            change.set_opening(after.id, after.opening, after.opening_date)
            await change.save()
            after = replace(after, sums=change.balance(after.id))
            return UpdatedAccount(after, after.sums.balance - after.opening != counted)

        fields = sorted([*changes, *(["openingBalance"] if opening else [])])
        event = Event("account.updated", owner.user_id, fields=fields)
        return await self._changes.make(owner, work, lambda _: event, reply)

    async def delete(
        self,
        owner: MoneyOwner,
        account_id: str,
        with_transactions: bool,
        etag: str | None = None,
        reply: KeyedReply | None = None,
    ) -> None:
        """Delete an account; its transactions are erased in the background.

        Raises AccountNotFound, AccountInUse, EtagMismatch.
        """

        async def work(change: LedgerChange) -> bool:
            stored, account = await self._locked(change, account_id, etag)
            count = account.sums.count
            if count and not with_transactions:
                raise AccountInUse(metadata={"transactions": str(count)})
            await self._store.replace(leaving(stored), change.session)
            change.remove_account(account.id, is_empty=not count)
            return True

        event = Event("account.deleted", owner.user_id)
        await self._changes.make(owner, work, lambda _: event, reply)

    async def _locked(
        self, change: LedgerChange, account_id: str, etag: str | None
    ) -> tuple[StoredAccount, Account]:
        """An account within a change of its ledger. Raises AccountNotFound, EtagMismatch."""
        found = await self._store.of(change.owner, change.session, [account_id])
        if not found:
            raise AccountNotFound
        account = opened(found[0], change.box, change.balance(found[0].id))
        check_etag(revision_of(etag), account.etag)
        return found[0], account

    async def export(self, user_id: str) -> AsyncGenerator[Exported, None]:
        """All accounts of a user, for the user's export."""
        owner = MoneyOwner(await self._users.identity(user_id), user_id)
        for each in await self.list(owner, None):
            yield "account", each


def _check_currency(currency: str) -> None:
    if money.decimals(currency) is None:
        raise InvalidRequest.of("currency", "must be one that has amounts, as INR")


def _check_new_currency(before: Account, after: Account, *, is_given: bool) -> None:
    _check_currency(after.currency)
    if before.sums.used or before.source != "manual":
        raise InvalidRequest.of("currency", "is fixed after the first transaction")
    if before.opening and not is_given:
        raise InvalidRequest.of("openingBalance", "is required in the new currency")


def _units(given: Given, currency: str) -> int:
    """Raises InvalidRequest naming `openingBalance`'s value or currency."""
    if given.currency not in {None, currency}:
        raise InvalidRequest.of("openingBalance.currency", f"must be {currency}, the account's")
    return money.parse(given.value, currency, "openingBalance").units
