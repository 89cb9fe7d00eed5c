"""Walking lists page by page."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterator
from typing import Literal, Protocol, TypeVar

import grpc
from finlink.users.v1.user_lists_pb2 import ListUsersRequest

PAGE_SIZE = 100  # the largest there is


class ListRequest(Protocol):
    """A request that asks for a page."""

    limit: int
    page_token: str

    def HasField(self, field_name: Literal["limit"], /) -> bool: ...  # noqa: N802


class _Pagination(Protocol):
    @property
    def next_page_token(self) -> str: ...


class _Data(Protocol):
    @property
    def pagination(self) -> _Pagination: ...


class Page(Protocol):
    """A reply that has a page."""

    @property
    def data(self) -> _Data: ...


RequestT = TypeVar("RequestT", bound=ListRequest)
PageT = TypeVar("PageT", bound=Page)


async def pages(
    call: grpc.aio.UnaryUnaryMultiCallable[RequestT, PageT],
    request: RequestT,
    timeout: float | None,  # noqa: ASYNC109 - gRPC's deadline of each call
) -> AsyncIterator[PageT]:
    """Every page from the one `request` asks for."""
    request = _first(request)
    while True:
        page = await call(request, timeout=timeout)
        yield page
        if not _advance(request, page):
            return


def pages_blocking(
    call: grpc.UnaryUnaryMultiCallable[RequestT, PageT], request: RequestT, timeout: float | None
) -> Iterator[PageT]:
    """Every page from the one `request` asks for."""
    request = _first(request)
    while True:
        page = call(request, timeout=timeout)
        yield page
        if not _advance(request, page):
            return


def _first(request: RequestT) -> RequestT:
    """A copy to walk with, in large pages unless `request` says otherwise."""
    request = copy.deepcopy(request)
    if not request.HasField("limit"):
        request.limit = PAGE_SIZE
    return request


def _advance(request: ListRequest, page: Page) -> bool:
    """Make `request` ask for what follows `page`; whether anything does."""
    token = page.data.pagination.next_page_token
    if not token:
        return False
    if isinstance(request, ListUsersRequest):
        request.ClearField("page")  # goes with no token
    request.page_token = token
    return True
