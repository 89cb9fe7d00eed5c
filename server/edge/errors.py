"""Why Finlink, or Envoy alone, does not start."""

from __future__ import annotations


class StartError(Exception):
    """Finlink cannot start; the message is one line that says what to do."""
