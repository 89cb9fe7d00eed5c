"""A small, repeatable delay before every reply, as a network would have."""

import asyncio
import random
import re
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True)
class LatencyRange:
    """Bounds in milliseconds."""

    low: int
    high: int

    @classmethod
    def parse(cls, text: str) -> "LatencyRange":
        """Read `20..80`, `20-80` or `50`."""
        match = re.fullmatch(r"(\d+)(?:(?:\.\.|-)(\d+))?", text)
        if match is None:
            raise ValueError(f"not a range of milliseconds such as 20..80: {text!r}")
        low = int(match[1])
        high = int(match[2] or match[1])
        if low > high:
            raise ValueError(f"the range runs backwards: {text!r}")
        return cls(low, high)


class LatencyMiddleware:
    def __init__(self, app: ASGIApp, bounds: LatencyRange, seed: int) -> None:
        self._app = app
        self._bounds = bounds
        self._random = random.Random(seed)  # noqa: S311

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(self._random.uniform(self._bounds.low, self._bounds.high) / 1000)
        await self._app(scope, receive, send)
