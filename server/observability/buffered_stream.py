"""A log's stream, written once for all lines of one round of the event loop."""

import asyncio
import atexit
import threading
from contextlib import suppress
from typing import TextIO

_MANY = 100


class BufferedStream:
    """Writes at the end of the round, or at once if no event loop runs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: list[str] = []
        self._writing = threading.Lock()
        atexit.register(self.flush)

    def write(self, text: str) -> None:
        """Take a text that ends its line."""
        with self._writing:
            self._waiting.append(text)
            if 1 < len(self._waiting) < _MANY:
                return  # the first one has scheduled the flush, unless its event loop has ended
        try:
            asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:
            self.flush()

    def flush(self) -> None:
        with self._writing:
            text = "".join(self._waiting)
            self._waiting.clear()
            if text:
                # A log whose disk is full loses lines; calls go on.
                with suppress(OSError):
                    self._stream.write(text)
                    self._stream.flush()
