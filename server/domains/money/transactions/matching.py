"""Use cases that make two transactions one transfer, and part them."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from server.core import money
from server.core.clock import Clock
from server.core.errors import InvalidRequest
from server.core.idempotency import KeyedReply
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.transactions.errors import TransactionNotFound, TransactionReconciled
from server.domains.money.transactions.facts import Facts
from server.domains.money.transactions.lookups import Lookups, check_known
from server.domains.money.transactions.marks import TransferMarks
from server.domains.money.transactions.model import TRANSFER, Transaction
from server.domains.money.transactions.shown import Shown, shown_of
from server.domains.money.transactions.transfers import (
    Movement,
    Pair,
    candidates,
    may_be_a_leg,
)
from server.domains.money.transactions.views import TransactionViews
from server.domains.money.transactions.work import Work, WorkRunner, event
from server.storage.repository import new_id

FIELD = "counterpartId"
_RECENT = timedelta(days=90)
_MOST_READ = 5_000
_MOST_SUGGESTED = 100


class TransferMatching:
    def __init__(
        self,
        works: WorkRunner,
        marks: TransferMarks,
        lookups: Lookups,
        views: TransactionViews,
        clock: Clock,
    ) -> None:
        self._works = works
        self._marks = marks
        self._lookups = lookups
        self._views = views
        self._clock = clock

    async def match(
        self,
        owner: MoneyOwner,
        identifier: str,
        counterpart_id: str,
        *,
        unlock: bool = False,
        reply: KeyedReply | None = None,
    ) -> Shown:
        """Make two transactions one transfer; without effect on those that are one.

        Raises TransactionNotFound, TransactionReconciled, InvalidRequest.
        """

        async def run(work: Work) -> Shown:
            await work.load([identifier, counterpart_id])
            if (counterpart := work.find(counterpart_id)) is None:
                raise TransactionNotFound.about(FIELD)
            pair = work.get(identifier), counterpart
            others = [each for each in map(work.other, pair) if each is not None]
            account_ids = [each.account_id for each in (*pair, *others)]
            facts = await self._lookups.facts(work.change, account_ids, [])
            for each in pair:
                check_known(each, facts)
            if pair[0].counterpart_id != counterpart_id:
                # A leg in an account that was deleted is none.
                taken = {
                    each.counterpart_id for each in others if each.account_id in facts.accounts
                }
                _check_pair(*pair, facts, taken)
                pair_up(work, pair, self._clock.now(), unlock=unlock)
            return shown_of(work, identifier, facts)

        return await self._works.make(owner, run, event(owner, "matched"), reply)

    async def unmatch(
        self, owner: MoneyOwner, identifier: str, reply: KeyedReply | None = None
    ) -> Shown:
        """Part the legs of a transfer and remember that; without effect on one that has no other leg.

        Raises TransactionNotFound.
        """

        async def run(work: Work) -> Shown:
            await work.load([identifier])
            one = work.get(identifier)
            facts = await self._lookups.facts(work.change, [one.account_id], [])
            check_known(one, facts)
            other = work.other(one)
            rev, now = work.change.rev, self._clock.now()
            if one.is_paired:
                work.replace(replace(one.alone(), rev=rev, updated_at=now))
            if other is not None:
                # Each is a transfer of its own from now on.
                alone = replace(other.alone(), transfer_id=new_id(), rev=rev, updated_at=now)
                work.replace(alone)
                await self._marks.part(owner.id, _in_order(one, other), now, work.change.session)
            return shown_of(work, identifier, facts)

        return await self._works.make(owner, run, event(owner, "unmatched"), reply)

    async def suggestions(self, owner: MoneyOwner) -> Sequence[tuple[Shown, Shown]]:
        """Pairs of the last days that may be transfers, newest first."""
        since = (self._clock.now() - _RECENT).date()
        found = {
            each.transaction.id: each
            for each in await self._views.newest(owner, since, _MOST_READ)
            if may_be_a_leg(each.transaction) and each.other is None
        }
        movements = [
            Movement(
                each,
                one.transaction.account_id,
                one.currency,
                one.transaction.signed,
                one.transaction.day,
            )
            for each, one in found.items()
        ]
        parted = await self._marks.parted(owner.id)
        pairs = candidates(movements, parted)[:_MOST_SUGGESTED]
        return [(found[outflow], found[inflow]) for outflow, inflow in pairs]


def pair_up(
    work: Work, pair: tuple[Transaction, Transaction], now: datetime, *, unlock: bool = False
) -> None:
    """Make two transactions one transfer. Raises TransactionReconciled."""
    transfer_id = new_id()
    for one, other in (pair, pair[::-1]):
        # A reconciled transaction may get a counterpart, and not another kind.
        if one.is_reconciled and one.kind != TRANSFER and not unlock:
            raise TransactionReconciled
        work.replace(
            replace(
                one,
                kind=TRANSFER,
                category_id=None,
                parts=(),
                refund_of=None,
                transfer_id=transfer_id,
                counterpart_id=other.id,
                rev=work.change.rev,
                updated_at=now,
            )
        )


def _check_pair(
    one: Transaction, other: Transaction, facts: Facts, taken: Collection[str | None]
) -> None:
    """Raises InvalidRequest naming `counterpartId`. `taken` have a counterpart."""
    if one.account_id == other.account_id:
        raise InvalidRequest.of(FIELD, "must be of another account")
    if one.direction == other.direction:
        raise InvalidRequest.of(FIELD, "must be of the other direction")
    if one.id in taken or other.id in taken:
        whose = "it" if other.id in taken else "the transaction"
        raise InvalidRequest.of(FIELD, f"cannot be matched: {whose} has a counterpart")
    currency = facts.account(one.account_id).currency
    if currency == facts.account(other.account_id).currency and one.units != other.units:
        text = money.text(one.units, currency)
        raise InvalidRequest.of(FIELD, f"must be of the same amount, {text} {currency}")


def _in_order(one: Transaction, other: Transaction) -> Pair:
    """Outflow, then inflow."""
    return (one.id, other.id) if one.direction == "out" else (other.id, one.id)
