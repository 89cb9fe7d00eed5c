"""The calls of one run to Zerodha."""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from finlink_words import DataType

from server.platforms.base import (
    Fetched,
    PermissionRefused,
    PlatformError,
    PlatformUnavailable,
    Slot,
)
from server.platforms.document import Node
from server.platforms.http import Reply, Retry
from server.platforms.records import Item
from server.platforms.zerodha import items as kite_items
from server.platforms.zerodha.replies import read_reply

_HOLDINGS = "/portfolio/holdings"
# In a reply without a row.
_NONE = re.compile(rb'"data"\s*:\s*(\[\s*\]|null)')
# For how long calls wait under the app's rate limit. A fetch that has not begun comes back
# later; one that has would lose what it got, and somebody waits for a login.
_NOT_BEGUN = timedelta(seconds=0.5)
BEGUN = timedelta(seconds=30)


@dataclass
class KiteReading:
    # Makes one call at its slot; without one it asks the rate limit itself.
    _once: Callable[[str, Slot | None], Coroutine[None, None, Reply]]
    _reserve: Callable[[timedelta, int], Awaitable[Sequence[Slot | None]]]
    _retry: Retry
    _replies: dict[str, Reply] = field(default_factory=dict, init=False)  # by path

    async def fetch(self, data_type: DataType) -> Fetched:
        match data_type:
            case "portfolio":
                paths = [_HOLDINGS, "/portfolio/positions", "/mf/holdings", "/user/margins"]
                read: Callable[[], Sequence[Item]] = self._portfolio
            case "trades":
                paths, read = ["/trades", "/mf/orders"], self._trades
            case "profile":
                paths, read = ["/user/profile"], self._profile
            case "transactions":
                raise PermissionRefused("Zerodha offers no transactions")
        await self._get(paths, _NOT_BEGUN)
        if data_type == "trades" and not _NONE.search(self._replies["/trades"].body):
            # An ornament of the trades: without it they are as complete as Zerodha sends them.
            with suppress(PlatformError):
                await self._get([_HOLDINGS], BEGUN)
                paths.append(_HOLDINGS)
        hashed = hashlib.sha256()
        for path in paths:
            body = self._replies[path].body
            hashed.update(b"%d/%b" % (len(body), body))
        return Fetched(hashed.hexdigest(), read)

    async def _get(self, paths: Sequence[str], longest_wait: timedelta) -> None:
        wanted = [path for path in paths if path not in self._replies]
        if wanted:
            self._replies.update(await self._read(wanted, longest_wait))

    async def _read(self, paths: Sequence[str], longest_wait: timedelta) -> Mapping[str, Reply]:
        """Ask for these, each at its moment, whether or not the one before has its reply.

        Failed calls are made again once the others are done, so that an outage
        meets few calls.
        """
        slots = await self._reserve(longest_wait, len(paths))
        calls = {
            path: asyncio.create_task(self._once(path, slot))
            for path, slot in zip(paths, slots, strict=True)
        }
        try:
            waiting = set(calls.values())
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
                for error in (call.exception() for call in done):
                    if error is not None and not isinstance(error, PlatformUnavailable):
                        raise error
        finally:
            for call in calls.values():
                call.cancel()
            await asyncio.gather(*calls.values(), return_exceptions=True)
        replies = {}
        for path, call in calls.items():
            replies[path] = await self._retry(partial(self._attempt, path, [call]))
        return replies

    async def _attempt(self, path: str, made: list[asyncio.Task[Reply]]) -> Reply:
        """The reply to the call that was made, the first time; then to another one."""
        return made.pop().result() if made else await self._once(path, None)

    def _data(self, path: str) -> Node:
        return read_reply(self._replies[path], f"GET {path}")

    def _portfolio(self) -> Sequence[Item]:
        return [
            *kite_items.holdings(self._data(_HOLDINGS)),
            *kite_items.positions(self._data("/portfolio/positions")),
            *kite_items.fund_holdings(self._data("/mf/holdings")),
            *kite_items.cash(self._data("/user/margins")),
        ]

    def _trades(self) -> Sequence[Item]:
        fills, orders = self._data("/trades"), self._data("/mf/orders")
        known_isins: Mapping[kite_items.Instrument, str] = {}
        if fills.value and _HOLDINGS in self._replies:
            with suppress(PlatformError):
                known_isins = kite_items.isins(self._data(_HOLDINGS))
        return [*kite_items.trades(fills, known_isins), *kite_items.fund_trades(orders)]

    def _profile(self) -> Sequence[Item]:
        return kite_items.profile(self._data("/user/profile"))
