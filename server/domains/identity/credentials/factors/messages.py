"""The mails to owners: of each change of their second factor, and of attempts to guess it."""

from datetime import datetime
from typing import Literal, TypeAlias

from server.delivery.message import Message
from server.domains.identity.credentials.notices import Writer

Notice: TypeAlias = Literal[
    "totp_added", "totp_removed", "recovery_codes_renewed", "recovery_code_used", "totp_failed"
]

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


def of(notice: Notice) -> Writer:
    def write(to: str, until: datetime, user: str) -> Message:
        text = f"{_TEXTS[notice]}\n\n{_IF_NOT_YOU}"
        return Message("mail", notice, to, text, until, _SUBJECTS[notice], user)

    return write
