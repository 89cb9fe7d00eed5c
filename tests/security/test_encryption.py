"""Secrets at rest."""

from __future__ import annotations

import base64
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.security.encryption import Undecipherable, Vault

KEY = bytes(range(32))
SECRETS = {"access_token": "tok_1", "naïve": "☃"}
PLACE = "connectors/ann/zerodha/session"
unhurried = settings(deadline=None, database=None)


@unhurried
@given(st.dictionaries(st.text(), st.text()), st.text(st.characters(exclude_categories=["Cs"])))
def test_round_trip(secrets: dict[str, str], place: str) -> None:
    vault = Vault(KEY)
    assert vault.open(vault.seal(secrets, place=place), place=place) == secrets


def test_the_same_secrets_never_look_the_same() -> None:
    vault = Vault(KEY)
    assert len({vault.seal(SECRETS, place=PLACE) for _ in range(100)}) == 100


def test_nothing_of_a_secret_is_readable() -> None:
    sealed = Vault(KEY).seal(SECRETS, place=PLACE)
    version, _, encoded = sealed.partition(".")
    assert version == "v1"
    raw = base64.b64decode(encoded)
    for hidden in (b"access_token", b"tok_1", "☃".encode()):
        assert hidden not in raw
        assert hidden not in sealed.encode()


def test_another_key_opens_nothing() -> None:
    sealed = Vault(KEY).seal(SECRETS, place=PLACE)
    with pytest.raises(Undecipherable):
        Vault(os.urandom(32)).open(sealed, place=PLACE)


@pytest.mark.parametrize(
    "place",
    ["", "connectors/ben/zerodha/session", "connectors/ann/zerodha/login", PLACE + "/"],
)
def test_another_place_opens_nothing(place: str) -> None:
    sealed = Vault(KEY).seal(SECRETS, place=PLACE)
    with pytest.raises(Undecipherable):
        Vault(KEY).open(sealed, place=place)


@unhurried
@given(st.data())
def test_one_changed_byte_opens_nothing(data: st.DataObject) -> None:
    vault = Vault(KEY)
    raw = bytearray(base64.b64decode(vault.seal(SECRETS, place=PLACE).removeprefix("v1.")))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Undecipherable):
        vault.open("v1." + base64.b64encode(bytes(raw)).decode(), place=PLACE)


@unhurried
@given(st.text())
def test_any_other_text_opens_nothing(text: str) -> None:
    for candidate in (text, f"v1.{text}"):
        with pytest.raises(Undecipherable):
            Vault(KEY).open(candidate, place=PLACE)


@pytest.mark.parametrize("cut", [0, 3, 5, 20, -1])
def test_a_shortened_one_opens_nothing(cut: int) -> None:
    sealed = Vault(KEY).seal(SECRETS, place=PLACE)
    with pytest.raises(Undecipherable):
        Vault(KEY).open(sealed[:cut], place=PLACE)


@pytest.mark.parametrize("length", [0, 5, 31, 33])
def test_a_key_has_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="key"):
        Vault(bytes(length))
