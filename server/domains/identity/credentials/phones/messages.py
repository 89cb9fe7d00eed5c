"""The SMS of codes, and the mails to who has lost or changed a number."""

from datetime import datetime

from server.delivery.message import Message


def code(to: str, digits: str, until: datetime, user: str | None) -> Message:
    return Message(
        "sms",
        "otp",
        to,
        f"{digits} is your code for Finlink. It is good for 5 minutes. Give it to nobody.",
        until,
        user=user,
    )


def changed(to: str, until: datetime, user: str) -> Message:
    return Message(
        "mail",
        "phone_changed",
        to,
        "The phone number that signs in to your account at Finlink was changed.\n\n"
        "If it was not you, set a new password at once where you sign in, with `Forgot password`.\n",
        until,
        "Your phone number was changed",
        user,
    )


def lost(to: str, until: datetime, user: str) -> Message:
    return Message(
        "mail",
        "phone_lost",
        to,
        "Somebody else has shown that the phone number of your account at Finlink is theirs, so it does not "
        "sign in to your account any more.\n\n"
        "Sign in another way, and add the number that you have now.\n",
        until,
        "A phone number was removed from your account",
        user,
    )
