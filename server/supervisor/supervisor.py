"""A set of pieces, and the first of them that gave up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from server.supervisor.piece import Piece, Spec, race


class Supervisor:
    """Starts pieces, watches them from then on, stops them."""

    def __init__(self, on_change: Callable[[], object] = lambda: None) -> None:
        self.pieces: list[Piece] = []
        self.hurry = asyncio.Event()
        self._on_change = on_change
        self._ended = asyncio.Event()

    async def start(self, specs: Sequence[Spec]) -> list[Piece]:
        """Start the pieces side by side; returns when each is ready, raises PieceFailedError."""
        pieces = [Piece(spec, self.hurry, self._on_change) for spec in specs]
        self.pieces += pieces
        for piece in pieces:
            piece.launch().add_done_callback(lambda _: self._ended.set())
        await race(self._all_ready(pieces), self.watch())
        return pieces

    async def watch(self) -> None:
        """Wait for a piece that gives up, and raise its PieceFailedError."""
        await self._ended.wait()
        for piece in self.pieces:
            if piece.task is not None and piece.task.done():
                piece.task.result()

    async def stop(self, pieces: Sequence[Piece]) -> None:
        """Stop these side by side; returns when all of them are gone."""
        await asyncio.gather(*(piece.stop() for piece in pieces))

    @staticmethod
    async def _all_ready(pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            await piece.until_ready()
