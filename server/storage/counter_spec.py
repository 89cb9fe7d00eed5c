"""What is counted: the documents of a collection by the values of a few fields."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from pymongo import IndexModel

from server.storage.driver import Document

# The field has its first name, as the index has.
COUNTED_AS = "tallied"
INDEX = "tally"

# The values of a document's fields, None for one it lacks.
Values: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True)
class CounterSpec:
    """The documents of `collection` by the fields `by`, each with the values it is expected to have.

    None stands for a field that is missing or null. Documents with other values are counted one by one.
    """

    collection: str
    by: Mapping[str, Sequence[str | None]]

    @property
    def index(self) -> IndexModel:
        return IndexModel([*self.by, COUNTED_AS], name=INDEX)

    @cached_property
    def expected(self) -> dict[str, Values]:
        """The counts that a document may have, by their names in the sums."""
        return {
            "/".join(value or "" for value in values): values
            for values in itertools.product(*self.by.values())
        }

    def mark(self, name: str, epoch: str) -> str:
        """What a document says that these sums have under that name. Other sums give no such mark."""
        return f"{epoch}:{name}"

    def name_of(self, mark: object, epoch: str | None) -> str | None:
        """Under which name these sums have a document; None where they do not have it."""
        found, _, name = mark.partition(":") if isinstance(mark, str) else ("", "", "")
        return name if epoch is not None and found == epoch and name in self.expected else None

    def uncounted(self, epoch: str | None) -> Document:
        """The filter for documents of expected values whose counts these sums do not have."""
        found: list[Document] = []
        for name, values in self.expected.items():
            of_values: Document = dict(zip(self.by, values, strict=True))
            if epoch is not None:
                of_values[COUNTED_AS] = {"$ne": self.mark(name, epoch)}
            found.append(of_values)
        return {"$or": found}

    @cached_property
    def unexpected(self) -> list[Document]:
        """The filter for documents with other values."""
        found: list[Document] = []
        before: Document = {}
        for name, values in self.by.items():
            found.append({**before, name: {"$nin": list(values)}})
            before[name] = {"$in": list(values)}
        return found
