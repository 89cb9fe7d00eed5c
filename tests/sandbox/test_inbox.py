"""The sandbox's inbox: what it takes, shows and forgets."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import httpx
import pytest

from sandbox.inbox.messages import MOST, Inbox
from tests.sandbox.driver import INBOX, Running, running

NUMBER = "+919876543210"
BEARER = {"Authorization": "Bearer anything"}


@pytest.fixture(scope="module")
def process() -> Iterator[Running]:
    with running(*INBOX) as started:
        yield started


@pytest.fixture
def inbox(process: Running) -> str:
    """Its address, with nothing in it."""
    url = process.inbox
    httpx.delete(f"{url}/inbox.json").raise_for_status()
    return url


def sms(url: str, headers: dict[str, str] | None = None, **changes: Any) -> httpx.Response:
    given = {"to": NUMBER, "from": "FINLNK", "text": "481516", "reference": "r1", **changes}
    return httpx.post(f"{url}/sms", json=given, headers=BEARER if headers is None else headers)


def mail(process: Running, to: str = "ann@example.com", text: str = "Hello") -> dict[str, Any]:
    """Sent by the standard library's client; the recipients that were refused."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Finlink <f@localhost>", to, "Grüße"
    message["Message-ID"] = "<m1@localhost>"
    message.set_content(text)
    with smtplib.SMTP("127.0.0.1", int(process.mail.rpartition(":")[2])) as client:
        return client.send_message(message)


def shown(url: str, **query: str) -> list[dict[str, str]]:
    messages: list[dict[str, str]] = httpx.get(f"{url}/inbox.json", params=query).json()["messages"]
    return messages


def test_what_came_is_shown_newest_first(process: Running, inbox: str) -> None:
    assert sms(inbox).status_code == 202
    mail(process)
    newest, oldest = shown(inbox)
    assert (newest["channel"], newest["subject"], newest["text"]) == ("mail", "Grüße", "Hello\n")
    assert (newest["from"], newest["reference"]) == ("Finlink <f@localhost>", "<m1@localhost>")
    assert (oldest["channel"], oldest["from"], oldest["text"]) == ("sms", "FINLNK", "481516")
    page = httpx.get(f"{inbox}/", follow_redirects=True).text
    assert page.index("Grüße") < page.index("481516")


def test_those_to_one_address(process: Running, inbox: str) -> None:
    mail(process)
    mail(process, "bob@example.com")
    sms(inbox)
    assert [each["to"] for each in shown(inbox, to="bob@example.com")] == ["bob@example.com"]
    assert [each["channel"] for each in shown(inbox, to=NUMBER)] == ["sms"]


def test_an_sms_that_is_sent_again_is_shown_once(inbox: str) -> None:
    for reference in ("r1", "r1", "r2"):
        assert sms(inbox, reference=reference).status_code == 202
    assert [each["reference"] for each in shown(inbox)] == ["r2", "r1"]


def test_links_can_be_followed_and_nothing_else_is_html(process: Running, inbox: str) -> None:
    link = "http://localhost:3000/verify?a=1&b=2#token=x"
    mail(process, text=f"<script>alert(1)</script> (see {link}).\nhttps://x.example/\"onclick='1'")
    page = httpx.get(f"{inbox}/inbox").text
    escaped = link.replace("&", "&amp;")
    assert f'(see <a href="{escaped}">{escaped}</a>).' in page
    assert "<script>" not in page
    assert '<a href="https://x.example/">https://x.example/</a>&quot;onclick' in page


def test_a_page_with_codes_is_neither_kept_nor_named_to_others(inbox: str) -> None:
    headers = httpx.get(f"{inbox}/inbox").headers
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"to": "9876543210"}, 400), ({"to": "+919876500000"}, 400), ({"to": "+919876599999"}, 503),
        ({"text": ""}, 400), ({"reference": 1}, 400), ({"colour": "red"}, 400),
        ({"text": "x" * 70_000}, 413), ({"headers": {}}, 401),
        ({"headers": {"Authorization": "Basic eA=="}}, 401),
    ],
)  # fmt: skip
def test_what_the_provider_does_not_take(inbox: str, changes: dict[str, Any], status: int) -> None:
    assert sms(inbox, **changes).status_code == status
    assert shown(inbox) == []


def test_mailboxes_that_do_not_take_mail(process: Running, inbox: str) -> None:
    for local, code in (("refused", 550), ("unavailable", 451)):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            mail(process, f"{local}@example.com")
        assert {each[0] for each in caught.value.recipients.values()} == {code}
    assert shown(inbox) == []


def test_memory_is_bounded() -> None:
    inbox = Inbox()
    for number in range(MOST + 5):
        inbox.add("mail", "f@localhost", "a@b", "text", str(number))
    assert [each.reference for each in inbox.newest()][:: MOST - 1] == [str(MOST + 4), "5"]


def test_without_the_options_there_is_none() -> None:
    with running() as sandbox:
        assert sandbox.inbox == sandbox.mail == ""
