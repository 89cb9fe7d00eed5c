"""A mail server that takes every mail, except for a few local parts."""

import socket
from asyncio import Server, get_running_loop
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope

from sandbox.inbox.messages import Inbox

MOST_BYTES = 128 * 1024
# Replies to RCPT, by the part before the @.
REPLIES = {
    "refused": "550 5.1.1 no such mailbox",
    "unavailable": "451 4.3.0 try again later",
}


class MailHandler:
    """The hooks that aiosmtpd calls."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        local, _, _ = address.rpartition("@")
        if reply := REPLIES.get(local):
            return reply
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        mail: EmailMessage = message_from_bytes(envelope.original_content or b"", policy=default)
        body = mail.get_body(("plain",))
        text = str(body.get_content()) if body is not None else ""
        for address in envelope.rcpt_tos:
            self._inbox.add(
                "mail",
                sender=str(mail["From"] or ""),
                to=address,
                text=text.replace("\r\n", "\n"),
                reference=str(mail["Message-ID"] or ""),
                subject=str(mail["Subject"] or ""),
            )
        return "250 OK"


async def serving_mail(inbox: Inbox, listener: socket.socket) -> Server:
    """Close it to end."""
    handler = MailHandler(inbox)

    def protocol() -> SMTP:
        # Without a name it would ask DNS for this machine's.
        return SMTP(
            handler,
            hostname="sandbox",
            ident="sandbox",
            data_size_limit=MOST_BYTES,
            enable_SMTPUTF8=True,
        )

    return await get_running_loop().create_server(protocol, sock=listener)
