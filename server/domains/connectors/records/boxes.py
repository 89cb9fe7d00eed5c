"""Records under their data key: sealed and opened, and tokens that stand for what must be compared."""

from collections.abc import Mapping
from typing import Any

import msgspec

from server.domains.connectors.model import RecordSet
from server.domains.connectors.records.contents import (
    Content,
    content,
    data_of,
    key_of,
    packed,
)
from server.security.data_key import DataKey, Owner
from server.security.encryption import Undecipherable
from server.security.sealed_box import SealedBox
from server.storage.driver import Document

_KEY, _CONTENT, _FETCHED = "record key", "record content", "fetched"


class DataKeyMissing(Undecipherable):
    """Sealed records are there and their data key is not: they were erased, or a restore forgot the keys."""

    def __init__(self) -> None:
        super().__init__("the data key of these records is missing")


def key_owner(records: RecordSet) -> Owner:
    """Whose data key seals them. It ends with them: by `deleteRecords`, or with their user."""
    return Owner(records.user_id, f"records/{records.id}")


class RecordBox:
    """Seals and opens one connector's records.

    A sealed document has `key` (a token of the item's key), `sealed` (key and fields) and, where it may
    change, `mac` (a token of the fields). One that an earlier release wrote has `key` and `data` in clear.
    """

    def __init__(self, records: RecordSet, key: DataKey) -> None:
        self.records_id = records.id
        self.key = key
        self._box = SealedBox(key.key)

    def token(self, data_type: str, key: str) -> bytes:
        return self._box.token(_KEY, data_type, key)

    def mac(self, data: Mapping[str, Any]) -> bytes:
        """Equal for equal fields."""
        return self._box.token(_CONTENT, msgspec.msgpack.encode(packed(data)))

    def sealed(self, token: bytes, key: str, data: Document, *, compared: bool) -> Document:
        """The fields of a document that has this content."""
        fields: Document = {
            "key": token,
            "sealed": self._box.seal(content(key, data), place=_place(token)),
        }
        return {**fields, "mac": self.mac(data)} if compared else fields

    def key_of(self, document: Mapping[str, Any]) -> str:
        """The item's key, of a document in either form. Raises Undecipherable."""
        return key_of(self._open(document)) if "sealed" in document else document["key"]

    def data_of(self, document: Mapping[str, Any]) -> Document:
        """The item's fields, of a document in either form. Raises Undecipherable."""
        if "sealed" in document:
            return data_of(self._open(document))
        data: Document = document.get("data") or {}
        return data

    def digest(self, *parts: str | bytes) -> str:
        """Identifies what was fetched; nobody without the key can try what it may have been."""
        return self._box.token(_FETCHED, *parts).hex()

    def _open(self, document: Mapping[str, Any]) -> Content:
        token = bytes(document["key"])
        return self._box.open(bytes(document["sealed"]), Content, place=_place(token))


def _place(token: bytes) -> str:
    """Of a record: its token is known before its id is, and is no other's under this key."""
    return f"records/{token.hex()}"
