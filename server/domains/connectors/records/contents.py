"""The content of a record as it is sealed: its key at the platform and its fields, in few bytes.

Fields have numbers, as in the contract, because a name would take more bytes than most values. A number stays
with its name for ever; a field that has none yet is sealed under its name.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from server.storage.driver import Document

NUMBERS: Mapping[str, int] = {
    name: number
    for number, name in enumerate(
        (
            "value", "currency", "date", "direction", "amount", "narration", "mode", "institution",
            "balanceAfter", "side", "quantity", "time", "isin", "symbol", "exchange", "fund",
            "folio", "price", "kind", "name", "averagePrice", "lastPrice", "asOf", "freeQuantity",
            "unsettledQuantity", "pledgedQuantity", "marginQuantity", "marginAveragePrice", "cost",
            "platformUserId", "email", "broker", "accountType", "dateOfBirth", "institutions",
            "exchanges", "products", "debt",
        ),
        1,
    )
}  # fmt: skip
_NAMES: Mapping[int | str, str] = {number: name for name, number in NUMBERS.items()}
_HASH_BYTES = 32
_PLAIN = (str, int, float, bytes, datetime, type(None))


class Content(msgspec.Struct, frozen=True, array_like=True):
    """Key and fields of a sealed record, both packed."""

    key: Any  # bytes of a hash, else text; msgspec knows no union of the two
    data: dict[int | str, Any]


def content(key: str, data: Document) -> Content:
    return Content(_packed_key(key), packed(data))


def key_of(sealed: Content) -> str:
    """The item's key, as the platform's adapter gives it."""
    if isinstance(sealed.key, str):
        return sealed.key
    return f"{sealed.key[:_HASH_BYTES].hex()}.{sealed.key[_HASH_BYTES:].decode()}"


def data_of(sealed: Content) -> Document:
    """The record's fields by their names."""
    return _unpacked(sealed.data)


def packed(data: Mapping[str, Any]) -> dict[int | str, Any]:
    """Fields by their numbers, in the order of their names: equal fields become equal bytes."""
    return {NUMBERS.get(name, name): _packed_value(data[name]) for name in sorted(data)}


def _packed_value(value: Any) -> Any:
    if isinstance(value, dict):
        return packed(value)
    if isinstance(value, list | tuple):
        return [_packed_value(item) for item in value]
    if isinstance(value, datetime):  # to the millisecond, as MongoDB keeps it
        return value.replace(microsecond=value.microsecond // 1000 * 1000)
    return value if isinstance(value, _PLAIN) else str(value)


def _unpacked(fields: Mapping[int | str, Any]) -> Document:
    return {_NAMES.get(name, str(name)): _unpacked_value(value) for name, value in fields.items()}


def _unpacked_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked_value(item) for item in value]
    return _unpacked(value) if isinstance(value, dict) else value


def _packed_key(key: str) -> str | bytes:
    """A hash with an occurrence number, which most keys are, takes half as many bytes as its text."""
    digest, dot, number = key.partition(".")
    if dot and number.isascii() and number.isdigit() and len(digest) == 2 * _HASH_BYTES:
        try:
            raw = bytes.fromhex(digest) + number.encode()
        except ValueError:
            return key
        return raw if raw[:_HASH_BYTES].hex() == digest else key
    return key
