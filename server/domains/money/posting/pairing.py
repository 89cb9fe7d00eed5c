"""Finds transfers among what was posted: pairs in which each is the other's only candidate."""

from datetime import date

from server.domains.money.posting.model import Days
from server.domains.money.transactions.lookups import Lookups
from server.domains.money.transactions.marks import TransferMarks
from server.domains.money.transactions.matching import pair_up
from server.domains.money.transactions.transfers import (
    LONGEST,
    Movement,
    candidates,
    certain,
    is_paired_unasked,
    may_be_a_leg,
)
from server.domains.money.transactions.walks.store import TransactionWalks
from server.domains.money.transactions.work import Work


class Pairing:
    """Driver errors pass through."""

    def __init__(self, walks: TransactionWalks, marks: TransferMarks, lookups: Lookups) -> None:
        self._walks = walks
        self._marks = marks
        self._lookups = lookups

    async def pair(self, work: Work, days: Days) -> int:
        """Pair those with a leg on these days; gives how many."""
        change = work.change
        # A leg up to four days away may have candidates as far away again, which make it uncertain.
        around = await self._walks.between(
            change.owner, _back(days.since), days.until + 2 * LONGEST, change.box, change.resolved,
            change.session,
        )  # fmt: skip
        facts = await self._lookups.accounts(change.owner, change.session)
        legs = {
            each.id: each
            for each in around
            if may_be_a_leg(each) and not each.is_paired and each.account_id in facts
        }
        movements = [
            Movement(
                each.id, each.account_id, facts[each.account_id].currency, each.signed, each.day
            )
            for each in legs.values()
        ]
        parted = await self._marks.parted(change.owner)
        pairs = [
            (legs[outflow], legs[inflow])
            for outflow, inflow in certain(candidates(movements, parted))
            if any(days.since <= legs[leg].day <= days.until for leg in (outflow, inflow))
            and is_paired_unasked(legs[outflow], legs[inflow])
        ]
        work.adopt(leg for pair in pairs for leg in pair)
        for pair in pairs:
            pair_up(work, pair, work.now)
        return len(pairs)


def _back(day: date) -> date:
    return day - 2 * LONGEST
