"""Keys of Finlink's own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Secrets:
    """They stay when the ring's keys are replaced."""

    user_ids: bytes
    requests: bytes
    answers: bytes
    audit: bytes
