"""Which documents are counted: those of a collection, by the values of a few fields."""

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
    """The documents of `collection` by the fields `words` and `flags`.

    A field of `words` is expected to have one of its values; None stands for one that is missing or null. A
    field of `flags` is true, or missing. Documents with other values are counted one by one.
    """

    collection: str
    words: Mapping[str, Sequence[str | None]]
    flags: Sequence[str] = ()

    @cached_property
    def by(self) -> Mapping[str, Sequence[str | bool | None]]:
        return {**self.words, **dict.fromkeys(self.flags, (None, True))}

    @property
    def index_name(self) -> str:
        return "_".join([INDEX, *self.flags])

    @property
    def index(self) -> IndexModel:
        return IndexModel([*self.by, COUNTED_AS], name=self.index_name)

    @cached_property
    def expected(self) -> dict[str, Values]:
        """The values that a document may have, by their names in the sums: its words, and the flags it has.

        So a name stays when a flag is added to the fields.
        """
        return {
            "/".join([*(word or "" for word in words), *itertools.compress(self.flags, flags)]): (
                *words, *flags,
            )
            for words in itertools.product(*self.words.values())
            for flags in itertools.product((None, True), repeat=len(self.flags))
        }  # fmt: skip

    def mark(self, name: str, epoch: str) -> str:
        """The mark of a document that these sums have under that name. Other sums give no such mark."""
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
