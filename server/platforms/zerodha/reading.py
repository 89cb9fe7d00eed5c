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
    Contents,
    Fetched,
    PermissionRefused,
    PlatformError,
    PlatformUnavailable,
    Slot,
)
from server.platforms.contents import NO_DATA, ContentsReader
from server.platforms.document import Faults, Node
from server.platforms.http import Reply, Retry
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
    # By path.
    _replies: dict[str, Reply | PlatformError] = field(default_factory=dict, init=False)

    async def fetch(self, data_type: DataType) -> Fetched:
        match data_type:
            case "portfolio":
                paths = [_HOLDINGS, "/portfolio/positions", "/mf/holdings", "/user/margins"]
                read: Callable[[], Contents] = self._portfolio
            case "trades":
                paths, read = ["/trades", "/mf/orders"], self._trades
            case "profile":
                paths, read = ["/user/profile"], self._profile
            case "transactions":
                raise PermissionRefused("Zerodha offers no transactions")
        await self._get(paths, _NOT_BEGUN)
        if data_type == "trades" and not self._nothing_traded():
            # An ornament of the trades: without it they are as complete as Zerodha sends them.
            with suppress(PlatformError):
                await self._get([_HOLDINGS], BEGUN)
                paths.append(_HOLDINGS)
        hashed = hashlib.sha256()
        for path in paths:
            reply = self._replies[path]
            body = reply.body if isinstance(reply, Reply) else str(reply).encode()
            hashed.update(b"%d/%b" % (len(body), body))
        return Fetched(hashed.hexdigest(), read)

    def _nothing_traded(self) -> bool:
        reply = self._replies["/trades"]
        return not isinstance(reply, Reply) or _NONE.search(reply.body) is not None

    async def _get(self, paths: Sequence[str], longest_wait: timedelta) -> None:
        wanted = [path for path in paths if path not in self._replies]
        if wanted:
            self._replies.update(await self._read(wanted, longest_wait))

    async def _read(
        self, paths: Sequence[str], longest_wait: timedelta
    ) -> Mapping[str, Reply | PlatformError]:
        """Ask for these, each at its moment, whether or not the one before has its reply.

        One that Zerodha does not give is an error among the others. Failed calls are made again once
        the others are done, so that an outage meets few calls.
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
                    if error is not None and not isinstance(error, (PlatformUnavailable, *NO_DATA)):
                        raise error
        finally:
            for call in calls.values():
                call.cancel()
            await asyncio.gather(*calls.values(), return_exceptions=True)
        replies: dict[str, Reply | PlatformError] = {}
        for path, call in calls.items():
            try:
                replies[path] = await self._retry(partial(self._attempt, path, [call]))
            except NO_DATA as error:
                replies[path] = error
        return replies

    async def _attempt(self, path: str, made: list[asyncio.Task[Reply]]) -> Reply:
        """The reply to the call that was made, the first time; then to another one."""
        return made.pop().result() if made else await self._once(path, None)

    def _data(self, path: str, faults: Faults) -> Node:
        reply = self._replies[path]
        if not isinstance(reply, Reply):
            raise reply
        return read_reply(reply, f"GET {path}", faults)

    def _portfolio(self) -> Contents:
        reader = ContentsReader()
        parts = {
            _HOLDINGS: kite_items.holdings,
            "/portfolio/positions": kite_items.positions,
            "/mf/holdings": kite_items.fund_holdings,
            "/user/margins": kite_items.cash,
        }
        read = [reader.read(partial(self._data, path), how) or [] for path, how in parts.items()]
        return reader.contents([item for items in read for item in items])

    def _trades(self) -> Contents:
        reader = ContentsReader()
        read = partial(kite_items.trades, known_isins=self._isins())
        fills = reader.read(partial(self._data, "/trades"), read) or []
        orders = reader.read(partial(self._data, "/mf/orders"), kite_items.fund_trades) or []
        return reader.contents([*fills, *orders], kite_items.trading_days(fills))

    def _isins(self) -> Mapping[kite_items.Instrument, str]:
        """Those that are known: whatever is wrong with the holdings is no fault of the trades."""
        if _HOLDINGS in self._replies and not self._nothing_traded():
            with suppress(PlatformError):
                return kite_items.isins(self._data(_HOLDINGS, []))
        return {}

    def _profile(self) -> Contents:
        reader = ContentsReader()
        items = reader.read(partial(self._data, "/user/profile"), kite_items.profile) or []
        return reader.contents(items)
