"""Use cases that change transactions."""

from collections.abc import Sequence
from datetime import date
from typing import TypeVar

from msgspec import UNSET

from server.core.clock import Clock
from server.core.etags import check_etag, revision_of
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.transactions.batch import Outcome, each_of, raise_failures
from server.domains.money.transactions.creation import Making, created
from server.domains.money.transactions.editing import Edit
from server.domains.money.transactions.errors import TransactionExists
from server.domains.money.transactions.facts import Facts
from server.domains.money.transactions.lookups import Lookups, check_known, check_refund
from server.domains.money.transactions.model import NewTransaction, Transaction, Update
from server.domains.money.transactions.shown import BulkResult, Shown, shown_of
from server.domains.money.transactions.store import TransactionStore
from server.domains.money.transactions.work import Work, WorkRunner, event
from server.kernel import Users
from server.storage.repository import new_id

T = TypeVar("T")
ERROR, SKIP = "error", "skip"  # what becomes of a new one whose external id is taken


class TransactionService:
    def __init__(
        self,
        works: WorkRunner,
        store: TransactionStore,
        lookups: Lookups,
        users: Users,
        clock: Clock,
    ) -> None:
        self._works = works
        self._store = store
        self._lookups = lookups
        self._users = users
        self._clock = clock

    async def create(
        self, owner: MoneyOwner, new: NewTransaction, reply: KeyedReply | None = None
    ) -> Shown:
        """Raises InvalidRequest, AccountNotFound, AccountArchived, CategoryNotFound, TransactionNotFound,
        TransactionExists."""
        today = await self._today(owner, [new])

        async def run(work: Work) -> Shown:
            outcome, facts = await self._create(work, [new], today, ERROR)
            if outcome.failures:
                raise outcome.failures[0].error
            return shown_of(work, outcome.ids[0], facts)

        return await self._works.make(owner, run, event(owner, "created"), reply)

    async def create_many(
        self,
        owner: MoneyOwner,
        new: Sequence[NewTransaction],
        *,
        atomic: bool = True,
        on_duplicate: str = ERROR,
        reply: KeyedReply | None = None,
    ) -> BulkResult:
        """All or none; or, if not `atomic`, each that can be made. Raises what `create` does if atomic."""
        today = await self._today(owner, new)

        async def run(work: Work) -> BulkResult:
            outcome, facts = await self._create(work, new, today, on_duplicate)
            made = sum(map(work.is_new, outcome.ids.values()))
            if not atomic:
                return BulkResult(made, ids=outcome.ids, failures=outcome.failures)
            raise_failures(outcome, "transactions")
            if on_duplicate == SKIP:
                # Those that were there before may be transfers to accounts that no new one names.
                await work.load(outcome.ids.values())
                found = [work.get(each) for each in outcome.ids.values()]
                around = [*found, *filter(None, map(work.other, found))]
                ids = [each.account_id for each in around]
                facts = await self._lookups.facts(work.change, ids, [])
            return BulkResult(
                made, [shown_of(work, outcome.ids[each], facts) for each in range(len(new))]
            )

        def done(result: BulkResult) -> Event:
            return event(owner, "created", count=result.made)

        return await self._works.make(owner, run, done, reply)

    async def _create(
        self, work: Work, new: Sequence[NewTransaction], today: date, on_duplicate: str
    ) -> tuple[Outcome, Facts]:
        change = work.change
        facts = await self._lookups.facts(
            change,
            [each for one in new for each in (one.account_id, one.to_account_id)],
            [each for one in new for each in (one.category_id, *_categories(one))],
        )
        await work.load(one.refund_of for one in new if one.refund_of is not None)
        named = [(one.account_id, one.external_id) for one in new if one.external_id is not None]
        taken = await self._store.by_external_ids(change.owner, named, change.box, change.session)
        making = Making(change.owner, change.rev, self._clock.now(), today, new_id)

        def decide(one: NewTransaction) -> str:
            made = created(one, facts, making)
            check_refund(made[0], work)
            key = None if one.external_id is None else (one.account_id, one.external_id)
            if key in taken:
                if on_duplicate == SKIP:
                    return taken[key]
                raise TransactionExists.of(taken[key])
            work.add(made)
            if key is not None:
                taken[key] = made[0].id
            return made[0].id

        return each_of(new, decide), facts

    async def update(
        self, owner: MoneyOwner, update: Update, reply: KeyedReply | None = None
    ) -> Shown:
        """Raises TransactionNotFound, AccountNotFound, AccountArchived, CategoryNotFound, TransactionExists,
        TransactionReconciled, TransactionLinked, EtagMismatch, InvalidRequest."""

        async def run(work: Work) -> Shown:
            outcome, facts = await self._update(work, [update])
            if outcome.failures:
                raise outcome.failures[0].error
            return shown_of(work, update.id, facts)

        done = event(owner, "updated", fields=sorted(update.changes.names))
        return await self._works.make(owner, run, done, reply)

    async def update_many(
        self,
        owner: MoneyOwner,
        updates: Sequence[Update],
        place: str,
        reply: KeyedReply | None = None,
    ) -> BulkResult:
        """All or none. Raises what `update` does; `place` is where the request has them."""

        async def run(work: Work) -> BulkResult:
            outcome, facts = await self._update(work, updates)
            raise_failures(outcome, place)
            return BulkResult(0, [shown_of(work, each.id, facts) for each in updates])

        fields = sorted({name for each in updates for name in each.changes.names})
        done = event(owner, "updated", fields=fields, count=len(updates))
        return await self._works.make(owner, run, done, reply)

    async def _update(self, work: Work, updates: Sequence[Update]) -> tuple[Outcome, Facts]:
        change, now = work.change, self._clock.now()
        await work.load(
            each
            for update in updates
            for each in (update.id, update.changes.refund_of)
            if isinstance(each, str)
        )
        before = [found for each in updates if (found := work.find(each.id)) is not None]
        around = [*before, *filter(None, map(work.other, before))]
        sent = [each.changes for each in updates]
        facts = await self._lookups.facts(
            change,
            [*(each.account_id for each in around), *(_sent(each.account_id) for each in sent)],
            [
                *(each for one in around for each in _categories(one)),
                *(one.category_id for one in around),
                *(_sent(each.category_id) for each in sent),
                *(
                    part.category_id
                    for each in sent
                    for part in (() if each.parts is UNSET else each.parts)
                ),
            ],
        )
        taken = await self._taken(work, updates)

        def decide(update: Update) -> str:
            one = work.get(update.id)
            check_known(one, facts)
            check_etag(revision_of(update.etag), str(one.rev))
            other = facts.there(work.other(one))
            edited = Edit(update, one, other, facts).made(
                rev=change.rev, now=now, transfer_id=new_id()
            )
            if isinstance(update.changes.refund_of, str):
                check_refund(edited.after, work)
            _check_taken(edited.after, taken)
            work.replace(edited.after)
            if edited.other is not None:
                work.replace(edited.other)
            return update.id

        return each_of(updates, decide), facts

    async def _taken(self, work: Work, updates: Sequence[Update]) -> dict[tuple[str, str], str]:
        """Of the external ids that transactions get, or take to another account, those that are there."""
        wanted = []
        for update in updates:
            if (one := work.find(update.id)) is None:
                continue
            external_id = update.changes.external_id
            external_id = one.external_id if external_id is UNSET else external_id
            if external_id is not None:
                wanted.append((_sent(update.changes.account_id) or one.account_id, external_id))
        change = work.change
        return await self._store.by_external_ids(change.owner, wanted, change.box, change.session)

    async def _today(self, owner: MoneyOwner, new: Sequence[NewTransaction]) -> date:
        """The day that it is for the user, if that matters."""
        now = self._clock.now()
        if all(each.day is not None for each in new):
            return now.date()
        return (await self._users.get(owner.user_id)).preferences.today(now)


def _categories(one: NewTransaction | Transaction) -> list[str | None]:
    return [part.category_id for part in one.parts]


def _sent(value: T | object) -> T | None:
    return None if value is UNSET else value  # type: ignore[return-value]


def _check_taken(after: Transaction, taken: dict[tuple[str, str], str]) -> None:
    """Raises TransactionExists if another transaction of the account has its external id."""
    if after.external_id is None:
        return
    key = (after.account_id, after.external_id)
    if taken.setdefault(key, after.id) != after.id:
        raise TransactionExists.of(taken[key])
