"""Mails, and the server that takes them."""

import ssl
from contextlib import suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cached_property

import aiosmtplib

from server.delivery.addresses import MailServer, address_of
from server.delivery.errors import NotSent, Refused
from server.delivery.message import Outgoing
from server.security.outgoing import tls_context

STEP_SECONDS = 10.0  # for each reply of the server
_QUIT_SECONDS = 1.0  # the mail is there by then
_LONGEST_LINE = 998


def mail_of(message: Outgoing, sender: Address) -> EmailMessage:
    """The same mail at each try, so that a receiver can see it twice and show it once."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = address_of(message.to)
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(message.written_at)
    mail["Message-ID"] = f"<{message.reference}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # so that nobody's absence note comes back
    # Links stay in one piece where the text can go as it is.
    short = all(len(line) <= _LONGEST_LINE for line in message.text.splitlines())
    plain = message.text.isascii() and short
    mail.set_content(message.text, charset="utf-8", cte="7bit" if plain else "quoted-printable")
    return mail


class MailTransport:
    """A connection a mail: mails are few, and a server may close an idle one at any moment."""

    def __init__(self, server: MailServer, sender: Address) -> None:
        self._server = server
        self._sender = sender

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return tls_context()

    async def send(self, message: Outgoing) -> None:
        """See `Transport`. The server's reply to the recipient or the content is final if it is 5xx."""
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            local_hostname=self._sender.domain,
            timeout=STEP_SECONDS,
            use_tls=server.tls,
            start_tls=not (server.tls or server.plain),
            tls_context=None if server.plain else self._tls,
        )
        try:
            await client.connect()
            await client.send_message(
                mail_of(message, self._sender),
                sender=self._sender.addr_spec,
                recipients=[message.to],
            )
            with suppress(aiosmtplib.SMTPException):
                await client.quit(timeout=_QUIT_SECONDS)
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _by_code(error.recipients[0].code) from None
        except aiosmtplib.SMTPDataError as error:
            raise _by_code(error.code) from None
        except aiosmtplib.SMTPNotSupported:
            # An address beyond ASCII, at a server that has only that.
            raise Refused("SMTP_NOT_SUPPORTED") from None
        except aiosmtplib.SMTPResponseException as error:
            raise NotSent(f"SMTP_{error.code}") from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotSent(_kind_of(error)) from None
        finally:
            client.close()

    async def aclose(self) -> None:
        """Nothing stays open."""


def _by_code(code: int) -> NotSent:
    return (Refused if 500 <= code < 600 else NotSent)(f"SMTP_{code}")


def _kind_of(error: Exception) -> str:
    """As `SMTPConnectError`; the error's text may have an address in it."""
    return type(error).__name__
