"""Keys of Finlink's own."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Secrets:
    """They stay when the ring's keys are replaced."""

    user_ids: bytes
    requests: bytes
    answers: bytes
    audit: bytes
