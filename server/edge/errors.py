"""Why Finlink, or Envoy alone, does not start."""


class StartError(Exception):
    """Finlink cannot start; the message is one line that says what to do."""
