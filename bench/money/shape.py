"""Who has how many transactions, and what they are: the same for the same size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from random import Random

from bench import data
from server.domains.money.budgets.periods import months_later
from server.domains.money.transactions.model import Amount, NewPart, NewTransaction

MONTHS = 60
OTHERS_ROWS = 500  # of each of the others
MAIN, MOVER = 0, 1  # the user who is measured; one whose transactions are all of one category
_SHARES, _ROUNDS = 20, 5  # in which the rows of these two, and those of the others, are written
_OTHERS_AT_ONCE = 50
_FEWEST_OTHERS = 20
# Of a hundred transactions. A transfer is two.
KINDS = {"expense": 82, "income": 8, "refund": 5, "transfer": 5}
_PAYEES = tuple(
    f"{name} {kind}"
    for name in ("Ashoka", "Banyan", "Cedar", "Deccan", "Emerald", "Falcon", "Ganga", "Himalaya")
    for kind in ("Grocers", "Cabs", "Books", "Pharmacy", "Cafe", "Power", "Telecom", "Stores")
)
_TEXTS = ("Weekly shopping", "Paid by card, to be shared with Meera", "Lunch", "Monthly bill", None)
_TAGS = ("family", "work", "holiday", "tax")


@dataclass(frozen=True)
class Size:
    rows: int  # of all others together
    user_rows: int  # of the user who is measured, and of the one whose category moves

    @property
    def database(self) -> str:
        return f"bench_money_{self.rows}_{self.user_rows}"

    @property
    def others(self) -> int:
        """How many others there are beside the two."""
        return max(_FEWEST_OTHERS, -(-(self.rows - self.user_rows) // OTHERS_ROWS))

    @property
    def users(self) -> int:
        return 2 + self.others


@dataclass(frozen=True)
class Share:
    """Some rows of some users: the part `number` of `of` of their years."""

    users: range
    rows: int  # of each
    number: int
    of: int

    @property
    def total(self) -> int:
        return self.rows * len(self.users)


@dataclass(frozen=True)
class Home:
    """What the transactions of a user name."""

    accounts: Sequence[str]  # of one currency but for the last, if there are more than two
    expense: Sequence[str]  # categories
    income: Sequence[str]


def user_id(number: int) -> str:
    return f"{data.PREFIX}{number}"


def first_day(today: date) -> date:
    """Of the months that have transactions, the running one included."""
    return months_later(today.replace(day=1), 1 - MONTHS)


def groups(size: Size) -> list[range]:
    """All users, the two alone."""
    firsts = range(2, size.users, _OTHERS_AT_ONCE)
    return [range(2), *(range(each, min(each + _OTHERS_AT_ONCE, size.users)) for each in firsts)]


def shares(size: Size) -> list[Share]:
    """All rows, in the order in which they are written: users beside each other, each from old to new."""
    placed: list[tuple[float, Share]] = []
    for user in (MAIN, MOVER):
        for number, rows in enumerate(_parts(size.user_rows, _SHARES)):
            share = Share(range(user, user + 1), rows, number, _SHARES)
            placed.append(((number + 0.25 + user / 2) / _SHARES, share))
    others = groups(size)[1:]
    for number, rows in enumerate(_parts(OTHERS_ROWS, _ROUNDS)):
        for place, users in enumerate(Random(number).sample(others, len(others))):  # noqa: S311 - no secret
            at = (number + (place + 0.5) / len(others)) / _ROUNDS
            placed.append((at, Share(users, rows, number, _ROUNDS)))
    return [share for _, share in sorted(placed, key=lambda each: each[0])]


def _parts(total: int, of: int) -> list[int]:
    return [total * (part + 1) // of - total * part // of for part in range(of)]


def transactions(user: int, home: Home, share: Share, today: date) -> list[NewTransaction]:
    """The part of a user's years that a share has."""
    draw = Random(f"{user} {share.number}")  # noqa: S311 - no secret
    since, span = first_day(today), (today - first_day(today)).days + 1
    days = (
        since + timedelta(days=span * (share.number * share.rows + row) // (share.of * share.rows))
        for row in count()
    )
    found: list[NewTransaction] = []
    left = share.rows
    kinds = KINDS if user != MOVER else {"expense": 1}
    for kind in _endless(draw, kinds):
        if left == 0:
            return found
        one = kind if kind != "transfer" or left > 1 else "expense"
        left -= 2 if one == "transfer" else 1
        found.append(_transaction(draw, one, home, next(days)))
        if one == "transfer":
            next(days)
    return found


def _endless(draw: Random, kinds: Mapping[str, int]) -> Iterator[str]:
    while True:
        yield from draw.choices(list(kinds), list(kinds.values()), k=100)


def _transaction(draw: Random, kind: str, home: Home, day: date) -> NewTransaction:
    account, paise = draw.choice(home.accounts), draw.randrange(1_000, 1_000_000)
    if kind == "transfer":
        source, target = draw.sample(
            home.accounts[:-1] if len(home.accounts) > 2 else home.accounts, 2
        )
        return NewTransaction(
            account_id=source, kind="transfer", amount=_amount(paise), day=day, to_account_id=target,
            description="To the other account",
        )  # fmt: skip
    category = draw.choice(home.income if kind == "income" else home.expense)
    parts: tuple[NewPart, ...] = ()
    if kind == "expense" and draw.random() < 0.03:
        parts = (
            NewPart(_amount(paise - 500), category),
            NewPart(_amount(500), draw.choice(home.expense)),
        )
    return NewTransaction(
        account_id=account,
        kind=kind,  # type: ignore[arg-type]  # one of KINDS
        amount=_amount(paise),
        day=day,
        category_id=None if parts else category,
        parts=parts,
        payee=draw.choice(_PAYEES),
        description=draw.choice(_TEXTS),
        notes="Kept the receipt in the blue folder" if draw.random() < 0.1 else None,
        tags=(draw.choice(_TAGS),) if draw.random() < 0.2 else (),
    )


def _amount(paise: int) -> Amount:
    return Amount(f"{paise // 100}.{paise % 100:02}")
