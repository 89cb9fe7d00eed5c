"""What ends `run` early."""

from __future__ import annotations


class StartError(Exception):
    """Finlink cannot start; the message is one line that says what to do."""


class PieceFailedError(Exception):
    """A piece will not be started again; the message has its name, reason and last lines."""
