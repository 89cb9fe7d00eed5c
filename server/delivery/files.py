"""Messages as files of a folder: development without a mail server and without the sandbox."""

import asyncio
import os
from collections.abc import Callable
from email.headerregistry import Address
from pathlib import Path

from server.delivery.mail import mail_of
from server.delivery.message import Outgoing


class FileTransport:
    """A file a message, named by time and reference. They hold codes: they are their owner's alone."""

    def __init__(self, folder: Path, suffix: str, render: Callable[[Outgoing], bytes]) -> None:
        self._folder = folder
        self._suffix = suffix
        self._render = render

    async def send(self, message: Outgoing) -> None:
        await asyncio.to_thread(self._write, message)

    def _write(self, message: Outgoing) -> None:
        """Whole or not at all; a second try replaces the file of the first."""
        content = self._render(message)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{message.written_at:%Y%m%dT%H%M%S.%fZ}-{message.reference}"
        partial = self._folder / f".{name}.partial"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        partial.replace(self._folder / f"{name}{self._suffix}")

    async def aclose(self) -> None:
        """Nothing stays open."""


def mail_files(folder: Path, sender: Address) -> FileTransport:
    return FileTransport(folder, ".eml", lambda message: mail_of(message, sender).as_bytes())


def sms_files(folder: Path, sender: str) -> FileTransport:
    def render(message: Outgoing) -> bytes:
        return f"To: {message.to}\nFrom: {sender}\n\n{message.text}\n".encode()

    return FileTransport(folder, ".txt", render)
