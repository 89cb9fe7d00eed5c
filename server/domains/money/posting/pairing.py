"""Finds transfers among what was posted: pairs in which each is the other's only candidate."""

from datetime import date

from server.domains.money.posting.model import Days
from server.domains.money.transactions.lookups import Lookups
from server.domains.money.transactions.marks import TransferMarks
from server.domains.money.transactions.matching import pair_up
from server.domains.money.transactions.model import Transaction
from server.domains.money.transactions.transfers import LONGEST, Movement, candidates, certain
from server.domains.money.transactions.walks.store import TransactionWalks
from server.domains.money.transactions.work import Work

_KINDS = frozenset({"expense", "income", "transfer"})


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
            each.id: each for each in around if _may_be_a_leg(each) and each.account_id in facts
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
        ]
        work.adopt(leg for pair in pairs for leg in pair)
        for pair in pairs:
            pair_up(work, pair, work.now)
        return len(pairs)


def _may_be_a_leg(one: Transaction) -> bool:
    """Whether nobody has said what it is, and no statement has shown it as something else."""
    if one.kind not in _KINDS or one.status == "pending" or one.is_paired:
        return False
    if one.is_reconciled and one.kind != "transfer":
        return False
    return not (one.category_id or one.parts)


def _back(day: date) -> date:
    return day - 2 * LONGEST
