"""The findings of a recount."""

from collections.abc import Sequence
from dataclasses import dataclass, field

MOST_SHOWN = 200  # differences of a report


@dataclass(frozen=True, slots=True)
class Recounted:
    """One user's ledger beside what it is the sum of. Differences name places, never amounts."""

    owner: str  # `User.id`
    transactions: int = 0
    differences: Sequence[str] = ()
    unreadable: bool = False  # something of the user cannot be opened

    @property
    def outcome(self) -> str:
        if self.unreadable:
            return "unreadable"
        return "different" if self.differences else "equal"


@dataclass
class Report:
    """The findings in many ledgers."""

    users: int = 0
    transactions: int = 0
    different: int = 0  # users
    problems: list[str] = field(default_factory=list)
    unshown: int = 0

    def add(self, found: Recounted) -> None:
        self.users += 1
        self.transactions += found.transactions
        self.different += bool(found.differences)
        self.note(found.owner, found.differences)

    def note(self, owner: str, problems: Sequence[str]) -> None:
        room = max(0, MOST_SHOWN - len(self.problems))
        self.problems += [f"user {owner}: {each}" for each in problems[:room]]
        self.unshown += max(0, len(problems) - room)
