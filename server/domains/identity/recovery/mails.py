"""The mails of identity: what they say, and what their links are.

A link has the token behind `#`: browsers do not send that part, so no log and no Referer has it. Opening a
link changes nothing; the page behind it sends the token once its reader agrees.
"""

from datetime import datetime
from typing import Literal, TypeAlias

from server.delivery.message import Message

Page: TypeAlias = Literal["verify-email", "reset-password"]


class Mails:
    def __init__(self, origin: str) -> None:
        """`origin`: PUBLIC_URL; nothing of a request gets into a link."""
        self._origin = origin

    def verify_email(self, to: str, token: str, until: datetime, user: str | None) -> Message:
        return Message(
            "mail",
            "verify_email",
            to,
            "Someone, we hope you, gave this address to Finlink.\n\n"
            f"To verify it, open this page:\n\n{self._link('verify-email', token)}\n\n"
            "The link is good once, for a day. If it was not you, ignore this mail: nothing happens then.\n",
            until,
            "Verify your email address",
            user,
        )

    def change_email(self, to: str, token: str, until: datetime, user: str) -> Message:
        """To the address that an account is to have."""
        return Message(
            "mail",
            "change_email",
            to,
            "Someone, we hope you, wants this address for an account at Finlink, in place of another.\n\n"
            f"To let that account have it, open this page:\n\n{self._link('verify-email', token)}\n\n"
            "The link is good once, for a day. If it was not you, ignore this mail: nothing happens then.\n",
            until,
            "Verify your new email address",
            user,
        )

    def email_changing(self, to: str, until: datetime, user: str) -> Message:
        """To the address that the account has until then; the new one is not in it."""
        return Message(
            "mail",
            "email_changing",
            to,
            "Someone who is signed in to your account at Finlink has asked for another email address. "
            "The account has it once the mail that was sent there has been opened.\n\n"
            "If it was not you, set a new password at once where you sign in, with `Forgot password`: "
            "that ends all sessions, and the change.\n",
            until,
            "Your email address is to be changed",
            user,
        )

    def reset_password(self, to: str, token: str, until: datetime, user: str | None) -> Message:
        return Message(
            "mail",
            "reset_password",
            to,
            "Someone, we hope you, wants to set a new password for your account at Finlink.\n\n"
            f"To set it, open this page:\n\n{self._link('reset-password', token)}\n\n"
            "The link is good once, for 30 minutes. If it was not you, ignore this mail: "
            "your password stays.\n",
            until,
            "Set a new password",
            user,
        )

    def known_address(self, to: str, until: datetime, user: str | None) -> Message:
        """To the owner of an address with which somebody registers again."""
        return Message(
            "mail",
            "known_address",
            to,
            "Someone, we hope you, registered at Finlink with this address, which has an account already.\n\n"
            "Sign in with it. If you have forgotten the password, ask for a new one where you sign in.\n"
            "If it was not you, ignore this mail: nothing has changed.\n",
            until,
            "You have an account",
            user,
        )

    def password_changed(self, to: str, until: datetime, user: str) -> Message:
        return Message(
            "mail",
            "password_changed",
            to,
            "The password of your account at Finlink was changed, and other devices were signed out.\n\n"
            "If it was not you, set a new one at once where you sign in, with `Forgot password`.\n",
            until,
            "Your password was changed",
            user,
        )

    def email_changed(self, to: str, until: datetime, user: str) -> Message:
        """To the address that the account had before."""
        return Message(
            "mail",
            "email_changed",
            to,
            "The email address of your account at Finlink was changed to another one. "
            "Mails about the account are no longer sent to this address.\n\n"
            "If you did not ask for that, write to the support of Finlink.\n",
            until,
            "Your email address was changed",
            user,
        )

    def external_linked(self, provider: str, to: str, until: datetime, user: str) -> Message:
        return Message(
            "mail",
            "external_linked",
            to,
            f"Your account at Finlink can be opened with an account at {provider} from now on.\n\n"
            "If it was not you, set a new password at once where you sign in, with `Forgot password`, then "
            "remove the provider in your settings.\n",
            until,
            "A way to sign in was added",
            user,
        )

    def session_reused(self, to: str, until: datetime, user: str) -> Message:
        return Message(
            "mail",
            "session_reused",
            to,
            "A session of your account at Finlink was ended, because a secret of it was used twice: "
            "somebody else may have it.\n\n"
            "Sign in again. If you see sessions that are not yours, change your password.\n",
            until,
            "A session was ended",
            user,
        )

    def _link(self, page: Page, token: str) -> str:
        return f"{self._origin}/account/{page}#token={token}"
