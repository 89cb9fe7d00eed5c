"""The newest messages that came, in memory."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

Channel: TypeAlias = Literal["mail", "sms"]

MOST = 200


@dataclass(frozen=True)
class Received:
    """`reference` is an SMS's own, or a mail's Message-ID. `at` is real, whatever its clock says."""

    at: datetime
    channel: Channel
    sender: str
    to: str
    subject: str
    text: str
    reference: str


class Inbox:
    def __init__(self) -> None:
        self._messages: deque[Received] = deque(maxlen=MOST)

    def add(
        self, channel: Channel, sender: str, to: str, text: str, reference: str, subject: str = ""
    ) -> None:
        """An SMS of a known reference is the same one again, and shown once."""
        known = {each.reference for each in self._messages if each.channel == "sms"}
        if channel == "mail" or reference not in known:
            at = datetime.now(UTC)
            self._messages.append(Received(at, channel, sender, to, subject, text, reference))

    def newest(self, to: str | None = None) -> Sequence[Received]:
        """Newest first; those to one address if that is given."""
        return [each for each in reversed(self._messages) if to is None or each.to == to]

    def clear(self) -> None:
        self._messages.clear()
