"""A message to one person, by mail or SMS."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

Channel: TypeAlias = Literal["mail", "sms"]
CHANNELS: tuple[Channel, ...] = ("mail", "sms")

MOST_TEXT = 20_000  # characters
MOST_SUBJECT = 200
_MOST_ADDRESS = 254
# One mailbox. Characters that would need quotes, or begin another address, are in none that is stored.
_MAILBOX = re.compile(r'[^\s@<>()\[\]\\,;:"]+@[^\s@<>()\[\]\\,;:"]+')
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
# Line feeds end a header; the others have no place in text either.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def is_mailbox(text: str) -> bool:
    """Whether this is one email address and nothing else."""
    plain = len(text) <= _MOST_ADDRESS and not _CONTROLS.search(text)
    return plain and _MAILBOX.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Message:
    """`to` is one email address as it is stored, or a number in E.164. `subject` is for mail alone.

    `kind` is a word such as `verify_email`, `user` the `User.id` of whom it is about. It is not sent at
    `not_after` or later. Raises ValueError for content that cannot be sent as it is.
    """

    channel: Channel
    kind: str
    to: str = field(repr=False)
    text: str = field(repr=False)
    not_after: datetime
    subject: str = field(default="", repr=False)
    user: str | None = None

    def __post_init__(self) -> None:
        if not (is_mailbox(self.to) if self.channel == "mail" else _E164.fullmatch(self.to)):
            raise ValueError(f"{self.kind}: `to` must be one address of {self.channel}")
        if bool(self.subject) != (self.channel == "mail") or len(self.subject) > MOST_SUBJECT:
            raise ValueError(f"{self.kind}: a mail has a subject, an SMS has none")
        if not self.text or len(self.text) > MOST_TEXT:
            raise ValueError(f"{self.kind}: the text must have 1 to {MOST_TEXT} characters")
        if _CONTROLS.search(self.subject) or _CONTROLS.search(self.text.replace("\n", "")):
            raise ValueError(f"{self.kind}: control characters are not sent")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as a worker sends it. `reference` and `written_at` are the same at each try."""

    reference: str
    written_at: datetime
    to: str = field(repr=False)
    text: str = field(repr=False)
    subject: str = field(repr=False)
