"""Tokens of mails: each is good once, for one purpose."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["reset_password", "verify_email", "register", "change_email"]
# Mails that are counted together. Those of a registration verify an address, too.
Counted: TypeAlias = Literal["reset_password", "verify_email", "change_email"]

RESET_LIFE = timedelta(minutes=30)
VERIFY_LIFE = timedelta(days=1)
MAILS_AN_HOUR = 3  # of one kind, to one address


@dataclass(frozen=True, slots=True)
class MailToken:
    """The purpose of a token. `data` holds secrets, which are sealed where it is stored."""

    kind: Kind
    subject: str  # the keyed hash of the address
    expires_at: datetime
    user: str | None = None  # `User.id`; None of nobody
    data: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class VerifiedEmail:
    user_id: str
    email: str
