"""Which transactions may be the two legs of one transfer, and which are one without being asked.

Two that are each other's only candidates are one transfer if a bank has reported one of them. A pair that was
typed is suggested, as all are that are not certain: the user has said of each leg that it is none.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeAlias

from server.domains.money.transactions.model import TRANSFER, Transaction

LONGEST = timedelta(days=4)  # from outflow to inflow
_KINDS = frozenset({"expense", "income", TRANSFER})


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that went out of an account or came in, and is no leg of a transfer yet."""

    id: str
    account_id: str
    currency: str
    signed: int
    day: date


# Ids of outflow and inflow.
Pair: TypeAlias = tuple[str, str]


def candidates(movements: Iterable[Movement], parted: Collection[Pair] = ()) -> list[Pair]:
    """All pairs that may be a transfer, newest inflow first.

    These are equal amounts of one currency out of one account and into another, the inflow 0 to 4 days after
    the outflow. Pairs that a user has parted never are.
    """
    outflows: defaultdict[tuple[str, int], list[Movement]] = defaultdict(list)
    inflows = []
    for each in movements:
        if each.signed < 0:
            outflows[each.currency, -each.signed].append(each)
        else:
            inflows.append(each)
    known = set(parted)
    return [
        (outflow.id, inflow.id)
        for inflow in sorted(inflows, key=lambda each: (each.day, each.id), reverse=True)
        for outflow in outflows[inflow.currency, inflow.signed]
        if outflow.account_id != inflow.account_id
        and outflow.day <= inflow.day <= outflow.day + LONGEST
        and (outflow.id, inflow.id) not in known
    ]


def certain(pairs: Collection[Pair]) -> list[Pair]:
    """Those in which each is the other's only candidate."""
    uses = Counter(each for pair in pairs for each in pair)
    return [pair for pair in pairs if uses[pair[0]] == 1 and uses[pair[1]] == 1]


def may_be_a_leg(one: Transaction) -> bool:
    """Whether nobody has said what it is for; whether it has another leg already is asked elsewhere."""
    return one.kind in _KINDS and one.status != "pending" and not (one.category_id or one.parts)


def is_paired_unasked(outflow: Transaction, inflow: Transaction) -> bool:
    """Whether two that are certain become a transfer by themselves: not what was typed, nor what a statement
    has shown as something else."""
    legs = (outflow, inflow)
    if any(each.is_reconciled and each.kind != TRANSFER for each in legs):
        return False
    return any(each.is_linked for each in legs)
