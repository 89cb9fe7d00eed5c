"""A real SMTP server in the test's own loop, with the certificate and the replies that the test wants."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from server.edge.tls import Certificate

LOGIN = LoginPassword(b"finlink", b"p@ss/word")


@dataclass
class Mails:
    """The mails that came, and how the server replies."""

    port: int = 0
    rcpt: str = "250 OK"
    data: str = "250 OK"
    came: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)  # from, to
    secure: list[bool] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, _server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        if self.data.startswith("250"):
            self.came.append(message_from_bytes(content, policy=default))
            self.envelopes.append((envelope.mail_from or "", list(envelope.rcpt_tos)))
            self.secure.append(session.ssl is not None)
        return self.data

    def authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any
    ) -> AuthResult:
        self.logins.append(given.login.decode())
        return AuthResult(success=given == LOGIN, handled=False)


@asynccontextmanager
async def mail_server(
    certificate: Certificate | None = None,
    *,
    tls: bool = False,
    login: bool = False,
    host: str = "127.0.0.1",
) -> AsyncIterator[Mails]:
    """With a certificate it offers STARTTLS and insists on it, or speaks `tls` from the first byte."""
    mails, context = Mails(), None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.chain, certificate.key)
    starttls = context if not tls else None

    def protocol() -> SMTP:
        return SMTP(
            mails,
            hostname="mail.test",
            enable_SMTPUTF8=False,
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=mails.authenticate if login else None,
            auth_required=login and not tls,  # it takes TLS for none that it has not begun itself
            auth_require_tls=not tls,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, host, 0, ssl=context if tls else None)
    try:
        mails.port = server.sockets[0].getsockname()[1]
        yield mails
    finally:
        server.close()
        await server.wait_closed()
