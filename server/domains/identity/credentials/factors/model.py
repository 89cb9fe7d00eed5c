"""Second factors: authenticator apps, and recovery codes for when an app is lost."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, TypeAlias

from server.core.events import Event
from server.domains.identity.credentials.challenges.model import Method

# Where a code is sent.
Channel: TypeAlias = Literal["phone", "email"]

CODE_DIGITS = 6
SETUP_LIFE = timedelta(minutes=10)  # of an app that has not shown a code yet


@dataclass(frozen=True, slots=True)
class TotpSetup:
    """The secret with which an app makes codes."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RecoveryCodes:
    recovery_codes: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Solution:
    """A second factor that somebody shows."""

    method: Method
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Shown:
    """The proof of the user of a session, again."""

    kind: Literal["password", "totp", "code"]
    value: str = field(repr=False)
    challenge_id: str = field(default="", repr=False)  # that a code was sent for


@dataclass(frozen=True, slots=True)
class RightSolution:
    """A solution that was right when it was compared: `spend` it, since it is good once."""

    method: Method
    step: int = 0  # of a code of the app
    sealed: str = ""  # the app's secret, as it is stored
    digest: bytes = field(default=b"", repr=False)  # of a recovery code

    def events(self, user_id: str) -> Sequence[Event]:
        """Recorded where it is spent."""
        return [Event("user.recovery_code_used", user_id)] if self.digest else []
