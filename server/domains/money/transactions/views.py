"""Use cases that read transactions."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

from server.core.clock import Clock
from server.core.errors import InvalidRequest, ResumeTokenExpired
from server.domains.money.accounts.errors import AccountNotFound
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.ledger.service import Book
from server.domains.money.transactions.documents import open_sealed, opened_transaction
from server.domains.money.transactions.errors import TransactionNotFound
from server.domains.money.transactions.filters import SealedFilter
from server.domains.money.transactions.lookups import Lookups
from server.domains.money.transactions.model import Transaction, Wanted
from server.domains.money.transactions.opened import OpenedMoney, opened_money
from server.domains.money.transactions.remembered import DeletionLog
from server.domains.money.transactions.shown import Gone, Shown, shown
from server.domains.money.transactions.store import TransactionStore
from server.storage.driver import ClientSession, Document
from server.storage.paging import Position, decode, encode

MAX_OPENED = 5_000  # for what is sealed, a call
_BATCH = 1_000
_NO_CATEGORY = "0" * 24  # that nothing has
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Place: TypeAlias = tuple[date, str]  # in a list: a day and an id


@dataclass(frozen=True, slots=True)
class ListRequest:
    wanted: Wanted = field(default_factory=Wanted)
    sealed: SealedFilter = field(default_factory=SealedFilter)
    filters: tuple[Any, ...] = ()  # all that was asked for; page tokens are good for the same only
    limit: int = 50
    page_token: str | None = None


@dataclass(frozen=True, slots=True)
class ListPage:
    items: Sequence[Shown | Gone]
    rev: int
    next_page_token: str | None = None


class TransactionViews:
    def __init__(
        self, book: Book, store: TransactionStore, log: DeletionLog, lookups: Lookups, clock: Clock
    ) -> None:
        self._book = book
        self._store = store
        self._log = log
        self._lookups = lookups
        self._clock = clock

    async def get(self, owner: MoneyOwner, identifier: str) -> Shown:
        """Raises TransactionNotFound."""
        opened = await self._opened(owner.id)
        if opened is not None:
            found = await self._store.get_many(owner.id, [identifier], opened.box, opened.resolved)
            for each in await self._shown(opened, list(found.values())):
                return each
        raise TransactionNotFound

    async def page(self, owner: MoneyOwner, request: ListRequest) -> ListPage:
        """Raises InvalidRequest for a token of another list."""
        place = _place_of(request)
        opened = await self._opened(owner.id)
        return ListPage([], 0) if opened is None else await self._page(opened, request, place)

    async def _page(
        self,
        opened: OpenedMoney,
        request: ListRequest,
        place: Place | None,
        session: ClientSession | None = None,
    ) -> ListPage:
        wanted = await self._with_related(request.wanted, opened, session)
        found, following = await self._walk(opened, wanted, request, place, session)
        token = None
        if following is not None:
            token = _token(
                datetime.combine(following[0], datetime.min.time(), UTC), following[1], request
            )
        return ListPage(await self._shown(opened, found, session), opened.rev, token)

    async def list_of_account(
        self, owner: MoneyOwner, account_id: str, request: ListRequest
    ) -> ListPage:
        """With the balance after each, unless there is a filter by what is sealed. Raises AccountNotFound."""
        place = _place_of(request)
        async with self._book.moment() as session:  # so that rows and balances agree
            opened = await self._opened(owner.id, session)
            if opened is None or account_id not in opened.accounts:
                raise AccountNotFound
            found = await self._page(opened, request, place, session)
            if request.sealed:
                return found
            items = [each for each in found.items if isinstance(each, Shown)]
            balanced = await self._with_balances(opened, account_id, items, session)
        return replace(found, items=balanced)

    async def newest_of_account(
        self, owner: MoneyOwner, account_id: str, limit: int
    ) -> Sequence[Shown]:
        """With the balance after each; none of an account that was deleted just now."""
        request = ListRequest(Wanted(account_ids=[account_id]), limit=limit)
        try:
            found = await self.list_of_account(owner, account_id, request)
        except AccountNotFound:
            return []
        return [each for each in found.items if isinstance(each, Shown)]

    async def changed_since(self, owner: MoneyOwner, since: int, request: ListRequest) -> ListPage:
        """Transactions made, changed or deleted after a revision, in the order of that.

        Raises ResumeTokenExpired where deletions since then are not remembered any more.
        """
        after = None
        if (place := _decoded(request)) is not None:
            after = (round((place[0] - _EPOCH) / timedelta(milliseconds=1)), place[1])
        if await self._log.is_forgotten(owner.id, since, self._clock.now()):
            raise ResumeTokenExpired
        opened = await self._opened(owner.id)
        if opened is None:
            return ListPage([], 0)
        found = await self._store.changed(owner.id, since, after, request.limit + 1)
        page = found[: request.limit]
        token = None
        if len(found) > request.limit:
            last = page[-1]
            token = _token(_EPOCH + timedelta(milliseconds=last["rev"]), str(last["_id"]), request)
        there = [
            opened_transaction(each, opened.box, opened.resolved)
            for each in page
            if "deletedAt" not in each
        ]
        shown_ones = {each.transaction.id: each for each in await self._shown(opened, there)}
        ids = [str(each["_id"]) for each in page]
        return ListPage([shown_ones.get(each) or Gone(each) for each in ids], opened.rev, token)

    async def newest(self, owner: MoneyOwner, since: date, limit: int) -> Sequence[Shown]:
        """Those from a day on that may be a leg of a transfer, by their kind."""
        opened = await self._opened(owner.id)
        if opened is None:
            return []
        found = await self._store.newest(owner.id, since, limit)
        return await self._shown(
            opened, [opened_transaction(each, opened.box, opened.resolved) for each in found]
        )

    async def _opened(self, owner: str, session: ClientSession | None = None) -> OpenedMoney | None:
        return await opened_money(self._book, self._lookups, owner, session)

    async def _with_related(
        self, wanted: Wanted, opened: OpenedMoney, session: ClientSession | None
    ) -> Wanted:
        """With the children of categories, and what was merged into one of them."""
        if not wanted.category_ids:
            return wanted
        # One that was merged is not there any more, whatever rows still name it.
        ids = {each for each in wanted.category_ids if each is not None} - opened.aliases.keys()
        all_ids = await self._lookups.with_children(opened.owner, ids, session)
        merged = {
            alias
            for alias, into in opened.aliases.items()
            if (into in all_ids if into is not None else None in wanted.category_ids)
        }
        none = [None] if None in wanted.category_ids else []
        return replace(wanted, category_ids=[*sorted(all_ids | merged), *none] or [_NO_CATEGORY])

    async def _walk(
        self,
        opened: OpenedMoney,
        wanted: Wanted,
        request: ListRequest,
        place: Place | None,
        session: ClientSession | None,
    ) -> tuple[list[Transaction], Place | None]:
        """The transactions of a page, and the place after which the next one begins."""
        found: list[Transaction] = []
        seen = 0
        while True:
            count = request.limit - len(found) + 1
            if request.sealed:
                count = min(_BATCH, MAX_OPENED - seen)
            documents = await self._store.walk(
                opened.owner, wanted, opened.box, place, count, session
            )
            for document in documents:
                if len(found) == request.limit:
                    return found, place
                seen += 1
                place = (document["date"].date(), str(document["_id"]))
                if self._fits(opened, document, request.sealed):
                    found.append(opened_transaction(document, opened.box, opened.resolved))
            if len(documents) < count:
                return found, None
            if seen >= MAX_OPENED:
                return found, place

    def _fits(self, opened: OpenedMoney, document: Document, sealed: SealedFilter) -> bool:
        account = opened.accounts.get(str(document["accountId"]))
        if account is None:  # it was deleted, and its transactions are about to be erased
            return False
        return not sealed or sealed.fits(open_sealed(document, opened.box), account.currency)

    async def _shown(
        self,
        opened: OpenedMoney,
        found: Sequence[Transaction],
        session: ClientSession | None = None,
    ) -> list[Shown]:
        """With the other legs of transfers; without those of accounts that were deleted."""
        known = {each.id: each for each in found}
        if missing := {each.counterpart_id or each.id for each in found} - known.keys():
            known |= await self._store.get_many(
                opened.owner, missing, opened.box, opened.resolved, session
            )
        return [
            shown(each, known.get(each.counterpart_id or ""), opened.accounts, opened.merged)
            for each in found
            if each.account_id in opened.accounts
        ]

    async def _with_balances(
        self, opened: OpenedMoney, account_id: str, items: Sequence[Shown], session: ClientSession
    ) -> list[Shown]:
        """With the balance after each, from that at the end of its day."""
        days = sorted({each.transaction.day for each in items})
        if not days:
            return []
        later: defaultdict[date, list[tuple[str, int]]] = defaultdict(list)
        for document in await self._store.of_days(opened.owner, account_id, days, session):
            if document["status"] != "pending":
                units = open_sealed(document, opened.box).units
                signed = units if document["direction"] == "in" else -units
                later[document["date"].date()].append((str(document["_id"]), signed))
        closing = await self._book.closing_balances(opened.owner, account_id, days, session)
        return [_with_balance(each, closing, later[each.transaction.day]) for each in items]


def _with_balance(
    item: Shown, closing: dict[date, int], of_day: Iterable[tuple[str, int]]
) -> Shown:
    one = item.transaction
    if one.status == "pending" or one.day not in closing:
        return item
    after = sum(signed for identifier, signed in of_day if identifier > one.id)
    return replace(item, balance_after=closing[one.day] - after)


def _decoded(request: ListRequest) -> tuple[datetime, str] | None:
    if request.page_token is None:
        return None
    position = decode(request.page_token, {"filters": request.filters})
    if position.at is None:
        raise InvalidRequest.of("pageToken", "is not a token of this list")
    return position.at, str(position.object_id)


def _place_of(request: ListRequest) -> Place | None:
    found = _decoded(request)
    return None if found is None else (found[0].date(), found[1])


def _token(at: datetime, identifier: str, request: ListRequest) -> str:
    return encode(Position(at, identifier), {"filters": request.filters})
