"""Mails to owners: of each change of their second factor, and of attempts to guess it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias

from server.core.clock import Clock
from server.core.users import User
from server.delivery.message import Message
from server.delivery.outbox import Outbox
from server.storage.driver import ClientSession

Notice: TypeAlias = Literal[
    "totp_added", "totp_removed", "recovery_codes_renewed", "recovery_code_used", "totp_failed"
]

_GOOD_FOR = timedelta(days=1)
_IF_NOT_YOU = (
    "If it was not you, set a new password at once where you sign in, with `Forgot password`"
)
_SUBJECTS: dict[Notice, str] = {
    "totp_added": "A second factor was added",
    "totp_removed": "Your second factor was removed",
    "recovery_codes_renewed": "Your recovery codes were renewed",
    "recovery_code_used": "A recovery code was used",
    "totp_failed": "Somebody tries codes of your second factor",
}
_TEXTS: dict[Notice, str] = {
    "totp_added": "Signing in to your account at Finlink needs a code of your authenticator app from now on, "
    "and other devices were signed out.",
    "totp_removed": "Signing in to your account at Finlink needs no code of an authenticator app any more.",
    "recovery_codes_renewed": "Your account at Finlink has new recovery codes. "
    "Those from before are good no more.",
    "recovery_code_used": "One of the recovery codes of your account at Finlink was used. "
    "It is good no more.",
    "totp_failed": "Somebody, we hope you, who knows the password of your account at Finlink has sent five "
    "wrong codes in place of those of your authenticator app, and was not let in.",
}


@dataclass(frozen=True)
class FactorNotices:
    _outbox: Outbox
    _clock: Clock

    async def add(self, notice: Notice, user: User, session: ClientSession) -> None:
        """A mail, if there is a way to send one and the user has an address."""
        if user.email is None or not self._outbox.can_send("mail"):
            return
        until = self._clock.now() + _GOOD_FOR
        text = f"{_TEXTS[notice]}\n\n{_IF_NOT_YOU}"
        mail = Message("mail", notice, user.email, text, until, _SUBJECTS[notice], user.id)
        await self._outbox.add(mail, session)

    def wake(self) -> None:
        """They were committed."""
        self._outbox.wake()
