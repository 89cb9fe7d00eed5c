"""The ledger of each user: balances by account, and sums by day, account, category and kind.

Every change of a user's money goes through `Book.open`, which locks the user's ledger until the transaction
ends: changes of one user come one after the other, those of several users beside each other.
"""

from calendar import monthrange
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date

from server.core.errors import SessionEnded, Unavailable
from server.domains.money.ledger.change import FIRST_MONTH, LAST_MONTH, LedgerChange
from server.domains.money.ledger.model import Balance, Cell, Entry, LedgerView
from server.domains.money.ledger.month import (
    DayOf,
    Month,
    counted_cells,
    is_pending,
    is_reconciled,
    summed_cells,
)
from server.domains.money.ledger.recount import Recount
from server.domains.money.ledger.store import LedgerStore, MonthKey
from server.domains.money.ledger.sums import LedgerSums, SealedSums
from server.domains.money.sealing.service import MoneyKeys
from server.kernel import Users
from server.security.sealed_box import SealedBox
from server.storage.driver import ClientSession, Document

# Fills a ledger that was just made.
Starter = Callable[[LedgerChange], Awaitable[None]]


class Book:
    """Ledgers by `User.id`. Driver errors pass through."""

    def __init__(
        self, store: LedgerStore, keys: MoneyKeys, users: Users, starter: Starter | None = None
    ) -> None:
        self._store = store
        self._keys = keys
        self._users = users
        self._starter = starter

    async def open(self, owner: str, session: ClientSession) -> LedgerChange:
        """Begin a change inside of a transaction; of a user without money the ledger and key are made.

        Raises SessionEnded if there is no such user any more, Unavailable if a restored one is too early.
        """
        return await self._opened(owner, await self._store.advance(owner, session), session)

    async def look(self, owner: str, session: ClientSession) -> LedgerChange:
        """Begin what may turn out to be no change: the ledger is locked, and its `rev` rises, with `save`.

        If others change it meanwhile the transaction starts again at its end, so `open` is for all else.
        Raises SessionEnded if there is no such user any more.
        """
        document = await self._store.find(owner, session)
        return await self._opened(owner, document, session, is_locked=False)

    async def _opened(
        self,
        owner: str,
        document: Document | None,
        session: ClientSession,
        *,
        is_locked: bool = True,
    ) -> LedgerChange:
        if document is None:
            return await self._start(owner, session)
        box = await self._keys.of(owner, session)
        sums = LedgerSums(self._store.opened(owner, document, box))
        rev = document["rev"] + (0 if is_locked else 1)
        return LedgerChange(self._store, owner, rev, box, sums, session, is_locked=is_locked)

    async def _start(self, owner: str, session: ClientSession) -> LedgerChange:
        # The lock keeps the user from being deleted underneath, and another call from doing the same.
        if await self._users.lock_id(owner, session) is None:
            raise SessionEnded
        if await self._store.is_being_erased(owner, session):
            raise Unavailable("What the user had before is still being erased")
        document = await self._store.create(owner, session)
        box = await self._keys.made(owner, session)
        sums = LedgerSums(self._store.opened(owner, document, box))
        change = LedgerChange(
            self._store, owner, document["rev"], box, sums, session, is_first=True
        )
        if self._starter is not None:
            await self._starter(change)
        return change

    def moment(self) -> AbstractAsyncContextManager[ClientSession]:
        """All that is read in the session is from one moment."""
        return self._store.database.at_one_moment()

    async def exists(self, owner: str) -> bool:
        """Whether a user has money, if only the usual categories."""
        return await self._store.find(owner) is not None

    async def balances(self, owner: str, session: ClientSession | None = None) -> LedgerView:
        """All balances, without cells."""
        return await self._view(owner, None, session)

    async def view(
        self,
        owner: str,
        since: date,
        until: date,
        session: ClientSession | None = None,
        day_of: DayOf | None = None,
    ) -> LedgerView:
        """Balances and the cells of a range of days, both included, as they are at one moment.

        Cells of an account whose days are one by `day_of` are added up, within a month.
        """
        if session is not None:
            return await self._view(owner, (since, until), session, day_of)
        async with self.moment() as moment:
            return await self._view(owner, (since, until), moment, day_of)

    async def cells(self, owner: str, since: date, until: date) -> list[Cell]:
        """All cells of a range of days, both included, but what is pending or excluded.

        Categories that were merged are the ones that they stand for; deleted accounts are left out.
        """
        return list((await self.view(owner, since, until)).cells)

    async def balance_on(self, owner: str, account_id: str, day: date) -> Balance:
        """The balance at the end of a day. Raises KeyError for an account that is not there.

        Before its opening day an account has nothing; without one it has its opening balance from ever.
        """
        account = bytes.fromhex(account_id)
        async with self.moment() as session:
            sums, box = await self._sums(owner, session)
            each = sums.accounts[account]
            if day.toordinal() < each.opening_day:
                return Balance(count=each.count, rev=each.rev)
            posted, reconciled, pending = each.posted, each.reconciled, each.pending
            first = (day.year, day.month)
            async for (year, number), month in self._months(owner, sums, box, first, session):
                for (of_month, account_of, _, code), (units, _, _) in month.items():
                    if account_of != account or date(year, number, of_month) <= day:
                        continue
                    if is_pending(code):
                        pending -= units
                        continue
                    posted -= units
                    reconciled -= units if is_reconciled(code) else 0
        return Balance(
            each.opening + posted, each.opening + reconciled, pending, each.count, rev=each.rev
        )

    async def closing_balances(
        self, owner: str, account_id: str, days: Sequence[date], session: ClientSession
    ) -> dict[date, int]:
        """The balances at the end of some days, from the account's opening day on.

        `session` is of `moment`. Raises KeyError for an account that is not there.
        """
        account = bytes.fromhex(account_id)
        posted: defaultdict[date, int] = defaultdict(int)
        sums, box = await self._sums(owner, session)
        each = sums.accounts[account]
        left = each.opening + each.posted
        first = (min(days).year, min(days).month)
        async for (year, number), month in self._months(owner, sums, box, first, session):
            for (of_month, account_of, _, code), (units, _, _) in month.items():
                if account_of == account and not is_pending(code):
                    posted[date(year, number, of_month)] += units
        closing = {}
        for day in sorted({*days, *posted}, reverse=True):
            if day.toordinal() < each.opening_day:
                break
            closing[day] = left
            left -= posted[day]
        return {day: closing[day] for day in days if day in closing}

    async def recount(
        self, owner: str, entries: AsyncIterator[Entry], session: ClientSession
    ) -> list[str]:
        """Compare a ledger with all that should be in it; what differs, in words without amounts.

        `session` is of `Database.at_one_moment`, and the entries are read in it as well.
        """
        document = await self._store.find(owner, session)
        sealed, months = SealedSums(), {}
        if document is not None:
            box = await self._keys.of(owner, session)
            sealed = self._store.opened(owner, document, box)
            months = await self._store.months_between(owner, FIRST_MONTH, LAST_MONTH, box, session)
        recount = Recount(LedgerSums(sealed))
        async for entry in entries:
            recount.add(entry)
        return recount.differences(months)

    async def end(self, owner: str, session: ClientSession) -> bool:
        """Destroy the key and the ledger of a user who is deleted; whether there was a ledger."""
        had_one = await self._store.end(owner, session)
        if had_one:
            await self._keys.destroy(owner, session)
        return had_one

    async def erase(self, owner: str) -> None:
        """Remove what `end` has left, which nobody can open."""
        await self._store.erase(owner)

    async def _view(
        self,
        owner: str,
        days: tuple[date, date] | None,
        session: ClientSession | None,
        day_of: DayOf | None = None,
    ) -> LedgerView:
        document = await self._store.find(owner, session)
        if document is None:
            return LedgerView(0, {}, {})
        box = await self._keys.of(owner, session)
        sums = LedgerSums(self._store.opened(owner, document, box))
        cells: list[Cell] = []
        if days is not None:
            since, until = days
            first, last = (since.year, since.month), (until.year, until.month)
            found = await self._store.months_between(owner, first, last, box, session)
            for (year, number), stored in found.items():
                first_day = max(since, date(year, number, 1))
                last_day = min(until, date(year, number, monthrange(year, number)[1]))
                which = (stored, sums.aliases, sums.gone, first_day, last_day)
                cells += summed_cells(*which, day_of) if day_of else counted_cells(*which)
        return LedgerView(
            document["rev"],
            {account.hex(): each.balance() for account, each in sums.accounts.items()},
            {alias.hex(): into.hex() or None for alias, into in sums.aliases.items()},
            box,
            cells,
            {into.hex() or None: rev for into, rev in sums.merged.items()},
        )

    async def _sums(self, owner: str, session: ClientSession) -> tuple[LedgerSums, SealedBox]:
        """Raises KeyError where there is no ledger."""
        document = await self._store.find(owner, session)
        if document is None:
            raise KeyError(owner)
        box = await self._keys.of(owner, session)
        return LedgerSums(self._store.opened(owner, document, box)), box

    async def _months(
        self, owner: str, sums: LedgerSums, box: SealedBox, first: MonthKey, session: ClientSession
    ) -> AsyncIterator[tuple[MonthKey, Month]]:
        """All from one on."""
        found = await self._store.months_between(owner, first, LAST_MONTH, box, session)
        for key, stored in found.items():
            yield key, Month.of(stored, sums.aliases, sums.gone)
