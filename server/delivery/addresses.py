"""Addresses of settings: the mail server's, the sender's."""

import re
from dataclasses import dataclass, field
from email.headerregistry import Address
from urllib.parse import unquote, urlsplit

from server.delivery.message import is_mailbox
from server.security.outgoing import is_loopback

_PORTS = {"smtp": 587, "smtps": 465}
_HOST = re.compile(r"[A-Za-z0-9_.-]+|[0-9A-Fa-f:]+")
_NAME = re.compile(r'[^\x00-\x1f\x7f<>"@]*')


@dataclass(frozen=True, slots=True)
class MailServer:
    """`tls` is from the first byte; otherwise STARTTLS follows, except where it is `plain`."""

    host: str
    port: int
    tls: bool = False
    plain: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str, *, loopback_is_plain: bool) -> "MailServer":
        """Of `smtp://USER:PASSWORD@HOST:PORT` or `smtps://…`. Raises ValueError, with no part of it."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, host, port = urlsplit(""), "", None
        user, password = parts.username, parts.password
        known = parts.scheme in _PORTS and _HOST.fullmatch(host) is not None and port != 0
        rest = parts.path.strip("/") or parts.query or parts.fragment
        if not known or rest or bool(user) != bool(password) or url != url.strip():
            raise ValueError(
                "must be smtp://USER:PASSWORD@HOST:PORT or smtps://…, with USER and PASSWORD or neither, "
                "special characters in them as %XX"
            )
        tls = parts.scheme == "smtps"
        return cls(
            host=host,
            port=port or _PORTS[parts.scheme],
            tls=tls,
            plain=not tls and loopback_is_plain and is_loopback(f"http://{parts.netloc}"),
            user=unquote(user) if user else None,
            password=unquote(password) if password else None,
        )


def parse_sender(text: str) -> Address:
    """Of `address` or `Name <address>`. Raises ValueError."""
    name, bracket, rest = text.rpartition("<")
    mailbox = rest.removesuffix(">") if bracket else text
    closed = rest.endswith(">") if bracket else True
    if not (closed and is_mailbox(mailbox) and _NAME.fullmatch(name)):
        raise ValueError(
            "must be an address, or a name and an address: Finlink <post@finlink.example>"
        )
    return address_of(mailbox, name.strip())


def address_of(mailbox: str, name: str = "") -> Address:
    """For a header; its parts are quoted where they have to be."""
    local, _, domain = mailbox.rpartition("@")
    return Address(display_name=name, username=local, domain=domain)
