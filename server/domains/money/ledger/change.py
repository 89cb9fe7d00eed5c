"""A change of a user's ledger, inside of a transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from operator import itemgetter

from server.domains.money.ledger.model import Balance, Entry
from server.domains.money.ledger.month import (
    NONE,
    Month,
    Place,
    Sums,
    code_of,
    is_pending,
    is_posted,
    reconciled,
)
from server.domains.money.ledger.store import LedgerStore, MonthKey
from server.domains.money.ledger.sums import AccountSums, LedgerSums
from server.security.sealed_box import SealedBox
from server.storage.driver import ClientSession

FIRST_MONTH, LAST_MONTH = (1, 1), (9999, 12)


class LedgerChange:
    """Posts take effect with `save`, which comes at the end of a transaction's work.

    `rev` is the ledger's after this change; `box` seals and opens what the user has.
    """

    def __init__(
        self,
        store: LedgerStore,
        owner: str,
        rev: int,
        box: SealedBox,
        sums: LedgerSums,
        session: ClientSession,
        *,
        is_first: bool = False,
        is_locked: bool = True,
    ) -> None:
        """`is_locked`: the ledger has its next `rev`; else `save` gives it that, if anything has changed."""
        self.owner = owner
        self.rev = rev
        self.box = box
        self.session = session
        self.is_first = is_first  # it makes the ledger
        self._is_locked = is_locked
        self._store = store
        self._sums = sums
        self._cells: defaultdict[MonthKey, list[tuple[Place, Sums]]] = defaultdict(list)
        self._left: set[bytes] = set()  # accounts whose newest day has lost something
        self._reopened: set[bytes] = set()  # accounts whose opening day has moved
        self._forgotten: set[bytes] = set()
        self._is_changed = False
        self._is_touched = False

    def touch(self) -> None:
        """Something of the user has changed, whether or not it has moved a sum."""
        self._is_touched = True

    def touch_account(self, account_id: str) -> None:
        """Something is shown with the account that was not before; none of its sums has changed."""
        self._sums.accounts[bytes.fromhex(account_id)].rev = self.rev
        self._is_changed = True

    def post(self, before: Entry | None, after: Entry | None) -> None:
        """A transaction is `after` and was `before`; None: it is not, or was not, there.

        Without effect on accounts that were deleted. Raises KeyError for one that never was.
        """
        for entry, sign in ((before, -1), (after, 1)):
            if entry is not None:
                self._post(entry, sign)

    def _post(self, entry: Entry, sign: int) -> None:
        if not entry.parts or sum(units for _, units in entry.parts) != entry.units:
            raise ValueError("the parts of an entry must add up to it")
        account = bytes.fromhex(entry.account_id)
        if account in self._sums.gone:
            return
        self._is_changed = True
        day, code = entry.day.toordinal(), code_of(entry)
        each = self._sums.accounts[account]
        each.add(day, code, (sign * entry.units, sign, sign))
        each.rev = self.rev
        if sign > 0:
            each.last_day = max(each.last_day, day)
        elif day == each.last_day:
            self._left.add(account)
        count = sign
        for category_id, units in entry.parts:
            category = bytes.fromhex(category_id) if category_id else NONE
            place = (entry.day.day, account, self._sums.resolved(category), code)
            key = (entry.day.year, entry.day.month)
            self._cells[key].append((place, (sign * units, count, sign)))
            count = 0

    def balance(self, account_id: str) -> Balance:
        """With what was posted so far; `last_day`, and sums from a moved opening day on, follow with `save`.

        Raises KeyError if the account is not there.
        """
        return self._sums.accounts[bytes.fromhex(account_id)].balance()

    @property
    def account_count(self) -> int:
        return len(self._sums.accounts)

    @property
    def alias_count(self) -> int:
        return len(self._sums.aliases)

    def resolved(self, category_id: str) -> str | None:
        """The category that a deleted one stands for, itself if it does not; None: for none."""
        return self._sums.resolved(bytes.fromhex(category_id)).hex() or None

    def open_account(self, account_id: str, opening: int, opening_day: date | None) -> None:
        """A new account. Without a day its opening balance comes before everything."""
        account = bytes.fromhex(account_id)
        self._sums.accounts[account] = AccountSums(opening, _ordinal(opening_day), rev=self.rev)
        self._is_changed = True

    def set_opening(self, account_id: str, opening: int, opening_day: date | None) -> None:
        """Entries before the day do not move the balance, those from it on do."""
        account = bytes.fromhex(account_id)
        each = self._sums.accounts[account]
        if each.opening_day != _ordinal(opening_day):
            self._reopened.add(account)
        each.opening, each.opening_day, each.rev = opening, _ordinal(opening_day), self.rev
        self._is_changed = True

    def remove_account(self, account_id: str, *, is_empty: bool) -> None:
        """The account leaves every balance and sum. Unless it is empty, `forget_account` follows in time."""
        account = bytes.fromhex(account_id)
        del self._sums.accounts[account]
        if not is_empty:
            self._sums.gone.add(account)
        self._is_changed = True

    def forget_account(self, account_id: str) -> None:
        """Erase what is still stored of an account that was removed."""
        if (account := bytes.fromhex(account_id)) in self._sums.gone:
            self._forgotten.add(account)
            self._is_changed = True

    def merge_category(self, category_id: str, into: str | None) -> None:
        """From now on a category stands for another one, or for none, in everything that is read."""
        target = bytes.fromhex(into) if into else NONE
        self._sums.merge(bytes.fromhex(category_id), self._sums.resolved(target), self.rev)
        self._is_changed = True

    async def parts_of(self, category_ids: Sequence[str]) -> int:
        """How many transactions, or splits of them, have one of these categories."""
        wanted = {bytes.fromhex(each) for each in category_ids}
        return sum(
            parts
            for _, month in await self._all_months()
            for (_, _, category, _), (_, _, parts) in month.items()
            if category in wanted
        )

    async def reconcile(self, account_id: str, until: date) -> int:
        """Reconcile all that is posted of an account up to a day; gives how many transactions that were."""
        account, count = bytes.fromhex(account_id), 0
        for key, month in await self._all_months((until.year, until.month)):
            for (day, of, category, code), (units, transactions, parts) in month.items():
                if of != account or not is_posted(code) or date(*key, day) > until:
                    continue
                count += transactions
                self._cells[key] += [
                    ((day, of, category, reconciled(code)), (units, transactions, parts)),
                    ((day, of, category, code), (-units, -transactions, -parts)),
                ]
                each = self._sums.accounts[account]
                if date(*key, day).toordinal() >= each.opening_day:
                    each.reconciled += units
        self._sums.accounts[account].rev = self.rev
        self._is_changed = True
        return count

    async def balance_on(self, account_id: str, day: date) -> int | None:
        """The balance of an account at the end of a day, without what was posted in this change.

        None before its opening day.
        """
        account = bytes.fromhex(account_id)
        each = self._sums.accounts[account]
        if day.toordinal() < each.opening_day:
            return None
        return each.opening + sum(
            sums[0]
            for key, month in await self._all_months((day.year, day.month))
            for (of_month, of, _, code), sums in month.items()
            if of == account
            and not is_pending(code)
            and each.opening_day <= date(*key, of_month).toordinal() <= day.toordinal()
        )

    async def save(self) -> None:
        """Write the ledger, and the months in which something was posted."""
        if (self._is_changed or self._is_touched) and not self._is_locked:
            # Nobody has changed it since it was read: MongoDB would refuse this, and it began again.
            await self._store.advance(self.owner, self.session)
            self._is_locked = True
        if not self._is_changed:
            return
        months = await self._months(list(self._cells)) if self._cells else {}
        for key, added in self._cells.items():
            month = months.setdefault(key, Month())
            # Additions first: a cell that is replaced within a change is never short.
            for place, sums in sorted(added, key=lambda each: each[1][2], reverse=True):
                month.add(place, sums)
        await self._write(months)
        for account in self._left:
            if (each := self._sums.accounts.get(account)) is not None:
                each.last_day = await self._last_day(account, each.last_day, months)
        if self._reopened or self._forgotten:
            await self._sum_again()
        await self._store.save(self.owner, self._sums.sealed(), self.box, self.session)
        for kept in (self._cells, self._left, self._reopened, self._forgotten):
            kept.clear()
        self._is_changed = False

    async def _months(self, keys: Sequence[MonthKey]) -> dict[MonthKey, Month]:
        found = await self._store.months(self.owner, keys, self.box, self.session)
        aliases, gone = self._sums.aliases, self._sums.gone
        return {key: Month.of(stored, aliases, gone) for key, stored in found.items()}

    async def _all_months(self, last: MonthKey = LAST_MONTH) -> Iterator[tuple[MonthKey, Month]]:
        found = await self._store.months_between(
            self.owner, FIRST_MONTH, last, self.box, self.session
        )
        aliases, gone = self._sums.aliases, self._sums.gone
        return ((key, Month.of(stored, aliases, gone)) for key, stored in found.items())

    async def _write(self, months: dict[MonthKey, Month]) -> None:
        stored = {key: month.stored() if month else None for key, month in months.items()}
        await self._store.write_months(self.owner, stored, self.box, self.session)

    async def _last_day(
        self, account: bytes, before: int, touched: Mapping[MonthKey, Month]
    ) -> int:
        """The newest day of an account that is no later than `before`; 0 if nothing is left of it."""
        newest = date.fromordinal(before)
        key = (newest.year, newest.month)
        if key in touched and (day := touched[key].last_day(account)):
            return date(*key, day).toordinal()
        for each, month in sorted(await self._all_months(key), key=itemgetter(0), reverse=True):
            if day := month.last_day(account):
                return date(*each, day).toordinal()
        return 0

    async def _sum_again(self) -> None:
        """Of accounts whose opening day has moved; and write months without what is to be forgotten."""
        cells: dict[bytes, list[tuple[int, int, Sums]]] = {each: [] for each in self._reopened}
        rewritten: dict[MonthKey, Month] = {}
        for (year, number), month in await self._all_months():
            for (day, account, _, code), sums in month.items():
                if account in cells:
                    cells[account].append((date(year, number, day).toordinal(), code, sums))
            rewritten[year, number] = month
        for account, found in cells.items():
            self._sums.accounts[account] = self._sums.accounts[account].summed_again(found)
        if self._forgotten:
            await self._write(rewritten)
            self._sums.gone -= self._forgotten


def _ordinal(day: date | None) -> int:
    return day.toordinal() if day else 0
