"""Sealed boxes: values that open in their place only, and tokens that need the key."""

from __future__ import annotations

import msgspec
import pytest

from server.security.encryption import Undecipherable
from server.security.sealed_box import BLOCK, SealedBox

KEY = bytes(range(32))
PLACE = "transactions/65f0aa00aa00aa00aa00aa00"


class Note(msgspec.Struct):
    text: str
    units: int = 0


class Other(msgspec.Struct):
    place: str


@pytest.mark.parametrize("length", [0, 1, 24, 25, 60, 63, 64, 65, 127, 128, 500])
def test_a_value_opens_as_it_was(length: int) -> None:
    value = Note("a" * length, -(2**60))
    sealed = SealedBox(KEY).seal(value, place=PLACE)
    assert len(sealed) % BLOCK == 0
    assert SealedBox(KEY).open(sealed, Note, place=PLACE) == value


@pytest.mark.parametrize("end", ["\0", "\0\0\0", "\u0080", "€"])
def test_a_value_may_end_as_its_padding_does(end: str) -> None:
    value = Other(f"a{end}")
    assert SealedBox(KEY).open(SealedBox(KEY).seal(value, place=PLACE), Other, place=PLACE) == value


def test_values_of_about_the_same_length_have_the_same() -> None:
    lengths = {len(SealedBox(KEY).seal(Note("a" * n), place=PLACE)) for n in range(10)}
    assert len(lengths) == 1


def test_the_same_value_is_never_sealed_the_same() -> None:
    box = SealedBox(KEY)
    assert len({box.seal(Note("a"), place=PLACE) for _ in range(20)}) == 20


@pytest.mark.parametrize(
    ("key", "place"), [(bytes(32), PLACE), (KEY, "transactions/65f0aa00aa00aa00aa00aa01")]
)
def test_it_opens_nowhere_else(key: bytes, place: str) -> None:
    sealed = SealedBox(KEY).seal(Note("a"), place=PLACE)
    with pytest.raises(Undecipherable):
        SealedBox(key).open(sealed, Note, place=place)


def test_a_changed_value_does_not_open() -> None:
    sealed = SealedBox(KEY).seal(Note("a"), place=PLACE)
    for index in range(len(sealed)):
        changed = sealed[:index] + bytes([sealed[index] ^ 1]) + sealed[index + 1 :]
        with pytest.raises(Undecipherable):
            SealedBox(KEY).open(changed, Note, place=PLACE)
    for shorter in (b"", b"\x01", sealed[:20], sealed[:-1]):
        with pytest.raises(Undecipherable):
            SealedBox(KEY).open(shorter, Note, place=PLACE)


def test_a_value_of_another_kind_does_not_open() -> None:
    sealed = SealedBox(KEY).seal(Note("a"), place=PLACE)
    with pytest.raises(Undecipherable, match="is no Other"):
        SealedBox(KEY).open(sealed, Other, place=PLACE)


def test_tokens_are_equal_for_equal_parts_only() -> None:
    box = SealedBox(KEY)
    token = box.token("payee", "Café", b"\x01")
    assert len(token) == 16
    assert SealedBox(KEY).token("payee", "Café", b"\x01") == token
    others = {
        box.token("name", "Café", b"\x01"),
        box.token("payee", "Café\x01"),
        box.token("payee", "Caf", "é\x01"),
        box.token("payee", "Café"),
        box.token("payee", "Café", b"\x01", ""),
        SealedBox(bytes(32)).token("payee", "Café", b"\x01"),
    }
    assert len(others | {token}) == 7


def test_the_bytes_of_a_box_stay_as_they_are() -> None:
    """What is stored must open, and be found, with every later release."""
    sealed = bytes.fromhex(
        "012998b11a81214b55873603d853df57ecf897c515e5299d27153b37c1d71122"
        "47d417902752a9e8ad14a270e34325729cd4e6388c43409ce4b24e5779ec43cb"
    )
    assert SealedBox(KEY).open(sealed, Note, place=PLACE) == Note("a", 125)
    assert SealedBox(KEY).token("payee", "a", "b").hex() == "8d24bbd507e81b3c44683c1daf84e91b"
