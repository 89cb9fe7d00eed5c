"""Reading the documents of a data type: each on its own, so that a wrong one costs nothing of the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from server.platforms.base import (
    Contents,
    PermissionRefused,
    PlatformDataError,
    PlatformError,
    SessionEnded,
)
from server.platforms.document import Faults, Node
from server.platforms.records import Item, Period

T = TypeVar("T")
# The platform was asked for a document and gave none. Other errors are about more than that.
NO_DATA = (PermissionRefused, PlatformDataError)


@dataclass(slots=True)
class ContentsReader:
    faults: Faults = field(default_factory=list)
    _documents: int = 0
    _failed: int = 0

    def read(self, document: Callable[[Faults], Node], how: Callable[[Node], T]) -> T | None:
        """The content of a document; None, and a fault, if it cannot be read.

        `document` takes its other faults. Raises SessionEnded.
        """
        self._documents += 1
        try:
            return how(document(self.faults))
        except SessionEnded:
            raise
        except PlatformError as error:
            self.faults.append(error)
            self._failed += 1
            return None

    def contents(self, items: Sequence[Item], periods: Sequence[Period] = ()) -> Contents:
        """Raises the first fault if no document could be read, or nothing but faults was in them."""
        if self.faults and (not items or self._failed == self._documents):
            raise self.faults[0]
        return Contents(items, tuple(self.faults), () if self.faults else periods)


def in_part(faults: Sequence[PlatformError]) -> PlatformError:
    """The reason why a data type came in part: the first of them, and how many more there are."""
    first, *others = faults
    return type(first)(f"{first}; and {len(others)} more faults") if others else first
