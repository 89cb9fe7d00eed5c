"""Pages of lists, as callers ask for them and get them."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from server.core.model import Model

T = TypeVar("T")


class PageRequest(Model, frozen=True):
    """Which page of a list: by number, counted from 1, or by token; the first one by default."""

    page: int | None = None
    page_token: str | None = None
    limit: int = 20


@dataclass(frozen=True)
class Page(Generic[T]):
    """A page of a list; `total` is of those that are counted."""

    items: list[T]
    current_page: int  # counted from 1
    limit: int
    total: int | None
    next_page_token: str | None

    @property
    def total_pages(self) -> int:
        return -(-(self.total or 0) // self.limit)

    @property
    def has_next(self) -> bool:
        return self.next_page_token is not None

    @property
    def has_prev(self) -> bool:
        return self.current_page > 1
