"""Mails to a real SMTP server: what arrives, over what, and what its replies mean."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from server.delivery.addresses import MailServer, parse_sender
from server.delivery.errors import NotSent, Refused
from server.delivery.mail import MailTransport
from server.delivery.message import Outgoing
from server.edge.tls import Certificate
from tests.delivery.mailserver import LOGIN, Mails, mail_server
from tests.edge.pki import authority
from tests.stack import free_ports

SENDER = parse_sender("Finlink <post@finlink.example>")
LINK = f"https://app.example/verify#token={'x' * 120}"
USER = f"{LOGIN.login.decode()}:{quote(LOGIN.password.decode(), safe='')}"


def outgoing(**changes: Any) -> Outgoing:
    given: dict[str, Any] = {
        "reference": "dlv_1", "written_at": datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
        "to": "ann@example.com", "subject": "Your address", "text": f"Open this:\n\n{LINK}\n",
    }  # fmt: skip
    return Outgoing(**{**given, **changes})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return authority(tmp_path_factory.mktemp("pki"), "Mail Authority").issue("mail")


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an operator does with an authority of the company's own."""
    file = certificate.chain.parent / "Mail Authority.crt"
    monkeypatch.setenv("SSL_CERT_FILE", str(file))


async def send(url: str, message: Outgoing | None = None, *, production: bool = True) -> None:
    server = MailServer.parse(url, loopback_is_plain=not production)
    await MailTransport(server, SENDER).send(message or outgoing())


async def failure(url: str, *, production: bool = True) -> NotSent:
    with pytest.raises(NotSent) as caught:
        await send(url, production=production)
    return caught.value


async def plain(mails: Mails, message: Outgoing | None = None) -> None:
    """As development sends to the sandbox."""
    await send(f"smtp://127.0.0.1:{mails.port}", message, production=False)


async def test_what_arrives() -> None:
    async with mail_server() as mails:
        await plain(mails)
    (mail,) = mails.came
    assert mails.envelopes == [("post@finlink.example", ["ann@example.com"])]
    assert dict(mail.items()) == {
        "From": "Finlink <post@finlink.example>",
        "To": "ann@example.com",
        "Subject": "Your address",
        "Date": "Tue, 03 Feb 2026 04:05:06 +0000",
        "Message-ID": "<dlv_1@finlink.example>",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "7bit",
    }
    assert mail.get_payload() == f"Open this:\r\n\r\n{LINK}\r\n", "the link is in one piece"


@pytest.mark.parametrize(
    "text", ["₹1,234.00 für Änne\n", "a dot:\n.\n..\nend\n", f"{'long ' * 400}\n", "no line feed"]
)
async def test_any_text_arrives_as_it_is(text: str) -> None:
    async with mail_server() as mails:
        await plain(mails, outgoing(text=text, subject="Zażółć 🎉"))
    (mail,) = mails.came
    assert mail.get_content().replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")
    assert mail["Subject"] == "Zażółć 🎉"


async def test_an_odd_address_stays_one_address() -> None:
    async with mail_server() as mails:
        await plain(mails, outgoing(to="o'neil+x@example.com"))
        await plain(mails, outgoing(to="a..b@example.com"))
    assert [to for _, to in mails.envelopes] == [["o'neil+x@example.com"], ["a..b@example.com"]]
    assert [mail["To"].addresses[0].username for mail in mails.came] == ["o'neil+x", "a..b"]


@pytest.mark.usefixtures("trusted")
async def test_starttls_and_a_login(certificate: Certificate) -> None:
    async with mail_server(certificate, login=True) as mails:
        await send(f"smtp://{USER}@127.0.0.1:{mails.port}")
    assert (len(mails.came), mails.secure, mails.logins) == (1, [True], ["finlink"])


@pytest.mark.usefixtures("trusted")
async def test_tls_from_the_first_byte(certificate: Certificate) -> None:
    async with mail_server(certificate, tls=True, login=True) as mails:
        await send(f"smtps://{USER}@localhost:{mails.port}")
    assert (len(mails.came), mails.logins) == (1, ["finlink"])


@pytest.mark.parametrize("tls", [False, True])
async def test_a_certificate_that_nobody_vouches_for(certificate: Certificate, tls: bool) -> None:
    async with mail_server(certificate, tls=tls) as mails:
        error = await failure(f"smtp{'s' if tls else ''}://localhost:{mails.port}")
    assert mails.came == []
    assert not isinstance(error, Refused), "it may be put right"


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_of_another_host(certificate: Certificate) -> None:
    async with mail_server(certificate, host="127.0.0.2") as mails:
        error = await failure(f"smtp://127.0.0.2:{mails.port}")
    assert mails.came == []
    assert error.code == "SSLCertVerificationError"


async def test_production_sends_nothing_in_the_clear() -> None:
    async with mail_server() as mails:
        await failure(f"smtp://127.0.0.1:{mails.port}")
        assert mails.came == []
        await plain(mails)
    assert len(mails.came) == 1


@pytest.mark.parametrize(
    ("replies", "code", "final"),
    [
        ({"rcpt": "550 5.1.1 no such mailbox"}, "SMTP_550", True),
        ({"rcpt": "553 5.1.3 bad address"}, "SMTP_553", True),
        ({"rcpt": "451 4.3.0 greylisted"}, "SMTP_451", False),
        ({"rcpt": "421 4.3.2 closing"}, "SMTP_421", False),
        ({"data": "554 5.7.1 looks like spam"}, "SMTP_554", True),
        ({"data": "452 4.2.2 mailbox full"}, "SMTP_452", False),
    ],
)
async def test_replies(replies: dict[str, str], code: str, final: bool) -> None:
    async with mail_server() as mails:
        for name, reply in replies.items():
            setattr(mails, name, reply)
        error = await failure(f"smtp://127.0.0.1:{mails.port}", production=False)
    assert (error.code, isinstance(error, Refused)) == (code, final)
    assert mails.came == []
    assert "example" not in str(error)


@pytest.mark.usefixtures("trusted")
async def test_a_wrong_password_may_be_put_right(certificate: Certificate) -> None:
    async with mail_server(certificate, login=True) as mails:
        error = await failure(f"smtp://finlink:wrong@127.0.0.1:{mails.port}")
    assert (error.code, isinstance(error, Refused)) == ("SMTP_535", False)


async def test_an_address_that_the_server_cannot_take() -> None:
    async with mail_server() as mails:
        with pytest.raises(Refused) as caught:
            await plain(mails, outgoing(to="é@example.com"))
    assert caught.value.code == "SMTP_NOT_SUPPORTED"


async def test_nobody_listens() -> None:
    (port,) = free_ports(1)
    error = await failure(f"smtp://127.0.0.1:{port}", production=False)
    assert (error.code, isinstance(error, Refused)) == ("SMTPConnectError", False)


async def test_a_server_that_hangs_or_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.delivery.mail.STEP_SECONDS", 0.2)
    over = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async def rude(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        writer.close()

    for behaviour, code in ((silent, "SMTPConnectTimeoutError"), (rude, "SMTPServerDisconnected")):
        server = await asyncio.start_server(behaviour, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        error = await failure(f"smtp://127.0.0.1:{port}", production=False)
        assert (error.code, isinstance(error, Refused)) == (code, False)
        over.set()
        server.close()
        await server.wait_closed()
