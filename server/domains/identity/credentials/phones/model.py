"""Codes by SMS, and how many may be sent."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from server.core.users import User
from server.domains.identity.credentials.accounts.model import Account
from server.domains.identity.sessions.model import Caller, Kind

CODE_DIGITS = 6
CODE_LIFE = timedelta(minutes=5)
MOST_OPEN = 3  # codes of one number that hold at a time

# The SMS that a number gets: at most so many within so long.
PER_NUMBER: Sequence[tuple[timedelta, int]] = (
    (timedelta(minutes=1), 1),
    (timedelta(hours=1), 5),
    (timedelta(days=1), 10),
)
# The numbers to which an address may have SMS sent.
NUMBERS_PER_ADDRESS = 20
ADDRESS_WITHIN = timedelta(days=1)
ALL_WITHIN = timedelta(hours=1)  # for SMS_PER_HOUR

# Numbers are given to other people. One that was not proved for so long may be somebody else's by now.
PROOF_LIFE = timedelta(days=180)
MOST_BIRTHS = 3  # dates of birth that may be tried


@dataclass(frozen=True, slots=True)
class SentCode:
    """A code that was sent, as the caller gets it."""

    challenge_id: str = field(repr=False)
    expires_at: datetime
    retry_after: int  # seconds


@dataclass(frozen=True, slots=True)
class OtpLogin:
    """A login with a code."""

    challenge_id: str = field(repr=False)
    code: str = field(repr=False)
    session: Kind
    caller: Caller
    device_name: str | None = None


@dataclass(frozen=True, slots=True)
class PhoneOwner:
    """The user who signs in with a number, and the user's account, which has it."""

    user: User
    account: Account

    @property
    def needs_phone(self) -> bool:
        """Whether nothing but the number lets the user in. A verified address does, by a new password."""
        has_address = self.user.email is not None and self.user.email_verified
        return self.account.password is None and not has_address and not self.account.externals

    def may_be_another(self, now: datetime) -> bool:
        """Whether the number may have been given to somebody else since it was last proved."""
        phone = self.account.phone
        return phone is not None and now - phone.proved_at > PROOF_LIFE

    def is_former(self, now: datetime) -> bool:
        """Whether the number opens nothing of this user any more, but counts as nobody's.

        If nothing else lets the user in, the date of birth may show that the number is still the user's.
        """
        phone = self.account.phone
        has_failed = phone is not None and phone.birth_tries >= MOST_BIRTHS
        return self.may_be_another(now) and (has_failed or not self.needs_phone)
