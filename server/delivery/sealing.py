"""The content of stored messages, encrypted under a key of Finlink's own."""

from datetime import datetime

from server.delivery.message import Message, Outgoing
from server.security.encryption import Vault

KEY_NAME = "contents of messages"  # of the key, among Finlink's own


class Sealer:
    def __init__(self, key: bytes) -> None:
        """`key` is 32 bytes."""
        self._vault = Vault(key)

    def seal(self, message: Message, reference: str) -> str:
        """Address, subject and text; they open as the message of this reference alone."""
        content = {"to": message.to, "subject": message.subject, "text": message.text}
        return self._vault.seal(content, place=_place(reference))

    def open(self, sealed: str, reference: str, written_at: datetime) -> Outgoing:
        """The message that was sealed. Raises Undecipherable."""
        content = self._vault.open(sealed, place=_place(reference))
        return Outgoing(reference, written_at, **content)


def _place(reference: str) -> str:
    return f"deliveries/{reference}"
