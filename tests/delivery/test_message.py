"""Content that is refused wherever it comes from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from server.delivery.message import MOST_SUBJECT, MOST_TEXT, Channel, Message

END = datetime(2030, 1, 1, tzinfo=UTC)
SMS_TO = "+919876543210"


def mail(**changes: Any) -> Message:
    given: dict[str, Any] = {"to": "ann@example.com", "subject": "Hello", "text": "Hi", **changes}
    return Message("mail", "verify_email", not_after=END, **given)


def sms(**changes: Any) -> Message:
    given: dict[str, Any] = {"to": SMS_TO, "text": "Hi", **changes}
    return Message("sms", "sign_in_code", not_after=END, **given)


@pytest.mark.parametrize(
    "to",
    [
        "ann@example.com\r\nBcc: eve@example.com", "ann@example.com\nX: y", "ann@example.com\x00",
        "ann@example.com, eve@example.com", "ann@example.com eve@example.com",
        "Ann <ann@example.com>", "<ann@example.com>", '"ann"@example.com', "ann@@example.com", "ann",
        "@example.com", "ann@", "", "ann@example.com\N{LINE SEPARATOR}", f"{'a' * 250}@x.example",
        SMS_TO,
    ],
)  # fmt: skip
def test_a_mail_has_one_address(to: str) -> None:
    with pytest.raises(ValueError, match="one address") as caught:
        mail(to=to)
    assert "example" not in str(caught.value)


@pytest.mark.parametrize(
    "to", ["a@b.example", "a.b+c@x-y.example", "o'neil@x.example", "a..b@x.example", "é@x.example"]
)
def test_addresses_that_users_have(to: str) -> None:
    assert mail(to=to).to == to


@pytest.mark.parametrize(
    "to", ["9876543210", "+0123456789", "+91 98765 43210", "+919876543210\n", "+9198765432101234", "a@b.c"]
)  # fmt: skip
def test_an_sms_has_a_number_in_e164(to: str) -> None:
    with pytest.raises(ValueError, match="one address"):
        sms(to=to)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Hello\r\nBcc: eve@example.com"}, {"subject": "Hello\n"}, {"subject": "a\x85b"},
        {"subject": ""}, {"subject": "x" * (MOST_SUBJECT + 1)},
        {"text": "a\r\n.\r\nMAIL FROM:<eve@example.com>"}, {"text": "a\x00"}, {"text": ""},
        {"text": "x" * (MOST_TEXT + 1)},
    ],
)  # fmt: skip
def test_what_could_be_read_as_more_than_text(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="verify_email"):
        mail(**changes)


def test_an_sms_has_no_subject() -> None:
    with pytest.raises(ValueError, match="an SMS has none"):
        sms(subject="Hello")


@pytest.mark.parametrize(("channel", "message"), [("mail", mail()), ("sms", sms())])
def test_a_message_shows_neither_address_nor_text(channel: Channel, message: Message) -> None:
    assert message.channel == channel
    assert message.to not in repr(message)
    assert "Hi" not in repr(message)
    assert "Hello" not in repr(message)
