"""Use cases that delete transactions and bring them back."""

from collections.abc import Sequence

from msgspec.structs import replace

from server.core.clock import Clock
from server.core.etags import check_etag, revision_of
from server.core.idempotency import KeyedReply
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.transactions.batch import each_of, raise_failures
from server.domains.money.transactions.errors import (
    TransactionExists,
    TransactionNotFound,
    TransactionReconciled,
)
from server.domains.money.transactions.facts import Facts, fitting
from server.domains.money.transactions.lookups import Lookups, check_known
from server.domains.money.transactions.model import TRANSFER, Transaction
from server.domains.money.transactions.origins import OriginMemory, with_rows
from server.domains.money.transactions.shown import Shown, shown_of
from server.domains.money.transactions.store import REMEMBERED, TransactionStore
from server.domains.money.transactions.work import Work, WorkRunner, event


class TransactionDeletion:
    def __init__(
        self,
        works: WorkRunner,
        store: TransactionStore,
        lookups: Lookups,
        clock: Clock,
        memories: Sequence[OriginMemory] = (),
    ) -> None:
        self._works = works
        self._store = store
        self._lookups = lookups
        self._clock = clock
        self._memories = memories

    async def delete(
        self,
        owner: MoneyOwner,
        ids: Sequence[str],
        *,
        unlock: bool = False,
        forget: bool = False,
        etag: str | None = None,
        place: str | None = None,
        reply: KeyedReply | None = None,
    ) -> None:
        """All or none. `forget` is also for those that were deleted before.

        Raises TransactionNotFound, TransactionReconciled, EtagMismatch; of many, which are at `place` of the
        request, with their index.
        """

        async def run(work: Work) -> bool:
            await work.load(ids)
            loaded = {each: found for each in ids if (found := work.find(each)) is not None}
            if forget:
                loaded |= await self._deleted(work, [each for each in ids if each not in loaded])
            around = [*loaded.values(), *filter(None, map(work.other, loaded.values()))]
            facts = await self._lookups.facts(work.change, [each.account_id for each in around], [])

            def decide(identifier: str) -> str:
                if identifier not in loaded:
                    raise TransactionNotFound
                check_known(loaded[identifier], facts)
                check_etag(revision_of(etag), str(loaded[identifier].rev))
                self._delete(work, loaded[identifier], facts, unlock=unlock)
                return identifier

            outcome = each_of(ids, decide)
            if place is None and outcome.failures:
                raise outcome.failures[0].error
            raise_failures(outcome, place or "")
            if forget:
                for memory in self._memories:
                    await memory.forget(owner.id, ids, work.change.session)
            return True

        done = event(owner, "deleted", count=None if place is None else len(ids))
        await self._works.make(owner, run, done, reply)

    def _delete(self, work: Work, loaded: Transaction, facts: Facts, *, unlock: bool) -> None:
        """Both legs of a transfer; one that a bank reported stays alone."""
        one = work.find(loaded.id)
        if one is None:  # it went before, or with its other leg, by the same request
            return
        other = facts.there(work.other(one))
        goes_along = other is not None and not other.is_linked
        if not unlock and (one.is_reconciled or (goes_along and other and other.is_reconciled)):
            raise TransactionReconciled
        work.bury(one)
        if other is not None and goes_along:
            work.bury(other)
        elif other is not None:
            work.replace(self._touched(other.alone(), work))

    async def restore(
        self, owner: MoneyOwner, identifier: str, reply: KeyedReply | None = None
    ) -> Shown:
        """Bring back one that was deleted; without effect on one that is there.

        Raises TransactionNotFound, AccountNotFound, AccountArchived, TransactionExists.
        """

        async def run(work: Work) -> Shown:
            await work.load([identifier])
            there = work.find(identifier)
            gone = [] if there else await self._brought_back(work, identifier)
            known = [*gone, *filter(None, [there])]
            others = filter(None, map(work.other, known))
            account_ids = [each.account_id for each in (*known, *others)]
            categories = [category for each in gone for category in each.categories]
            facts = await self._lookups.facts(work.change, account_ids, categories)
            if there is not None:
                check_known(there, facts)
            # The other leg stays away if its account is not there any more.
            brought = [each for each in gone if each.id == identifier or facts.there(each)]
            for each in brought:
                facts.open_account(each.account_id)
            await self._check_not_taken(work, brought)
            for each in await self._with_rows(work, brought):
                work.bring_back(self._touched(fitting(each, facts), work))
            if brought:
                self._join(work, identifier, facts)
            return shown_of(work, identifier, facts)

        return await self._works.make(owner, run, event(owner, "restored"), reply)

    async def _brought_back(self, work: Work, identifier: str) -> list[Transaction]:
        """A transaction that was deleted, and the other leg if it was deleted, too."""
        found = (await self._deleted(work, [identifier])).get(identifier)
        if found is None:
            raise TransactionNotFound
        if found.counterpart_id is None:
            return [found]
        await work.load([found.counterpart_id])
        other = None
        if work.find(found.counterpart_id) is None:
            gone = await self._deleted(work, [found.counterpart_id])
            other = gone.get(found.counterpart_id)
        return [found] if other is None else [found, other]

    async def _deleted(self, work: Work, ids: Sequence[str]) -> dict[str, Transaction]:
        """Those that were deleted and are remembered, by id."""
        change = work.change
        found = await self._store.deleted(
            change.owner, ids, change.box, change.resolved, change.session
        )
        # MongoDB may take a minute to remove what is too old.
        since = self._clock.now() - REMEMBERED
        return {name: each.transaction for name, each in found.items() if each.at > since}

    async def _check_not_taken(self, work: Work, brought: Sequence[Transaction]) -> None:
        named = [(each.account_id, each.external_id) for each in brought if each.external_id]
        change = work.change
        taken = await self._store.by_external_ids(change.owner, named, change.box, change.session)
        if taken:
            raise TransactionExists.of(next(iter(taken.values())))

    async def _with_rows(self, work: Work, brought: Sequence[Transaction]) -> list[Transaction]:
        """With the rows that a bank reported of them, unless these have come back as other transactions."""
        change, ids, found = work.change, [each.id for each in brought], list(brought)
        for memory in self._memories if ids else ():
            successors = await memory.successors(change.owner, ids, change.session)
            await work.load(successors)
            living = [each for each in map(work.find, successors) if each is not None]
            accounts = await self._lookups.facts(change, [each.account_id for each in living], [])
            for each in living:
                if each.account_id in accounts.accounts:
                    raise TransactionExists.of(each.id, "A bank's row of it has come back")
            taken = await memory.take_back(change.owner, ids, change.session)
            found = [with_rows(each, taken) for each in found]
        return found

    def _join(self, work: Work, identifier: str, facts: Facts) -> None:
        """Make two legs point at each other again; a leg whose other one has changed stays alone."""
        one = work.get(identifier)
        other = facts.there(work.other(one))
        if other is not None and other.counterpart_id == one.id:
            return
        if other is not None and _may_join(one, other, facts):
            work.replace(self._touched(replace(other, counterpart_id=one.id), work))
        elif one.is_paired:
            work.replace(one.alone())

    def _touched(self, transaction: Transaction, work: Work) -> Transaction:
        return replace(transaction, rev=work.change.rev, updated_at=self._clock.now())


def _may_join(one: Transaction, other: Transaction, facts: Facts) -> bool:
    """Whether the other leg is as it was left when the first one was deleted."""
    is_free = other.kind == TRANSFER and other.counterpart_id is None
    if not is_free or other.transfer_id != one.transfer_id or other.direction == one.direction:
        return False
    account, its = facts.account(one.account_id), facts.account(other.account_id)
    return account != its and (account.currency != its.currency or one.units == other.units)
