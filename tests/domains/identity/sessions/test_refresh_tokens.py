"""Refresh tokens: one spelling each, and none passes that was not made here."""

from __future__ import annotations

import base64
import hmac

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.core.errors import Unauthenticated
from server.domains.identity.sessions.refresh_tokens import RefreshTokens

SECRET, OTHER = bytes(range(32)), bytes(32)
ID = "65a5072e9f1c2b3d4e5f6075"
TOKENS = RefreshTokens(SECRET)
MADE = TOKENS.make(ID, 7)
ids = st.binary(min_size=12, max_size=12).map(bytes.hex)
counters = st.integers(0, 2**48 - 1)


def refused(token: str, by: RefreshTokens = TOKENS) -> None:
    with pytest.raises(Unauthenticated):
        by.read(token)


@given(ids, counters)
def test_it_says_what_it_was_made_of(session_id: str, counter: int) -> None:
    token = TOKENS.make(session_id, counter)
    assert len(token) == 72
    assert token.startswith("flr_")
    assert TOKENS.read(token) == (session_id, counter)
    assert TOKENS.make(session_id, counter) == token


def test_each_session_and_each_counter_has_another() -> None:
    assert len({TOKENS.make(ID, n) for n in range(100)}) == 100
    assert TOKENS.make(ID, 7)[4:] != TOKENS.make(ID[:-1] + "6", 7)[4:]


@given(st.integers(0, 71), st.sampled_from("AZaz09-_=+/. \n\0é٣"))
def test_no_character_can_be_another(place: int, character: str) -> None:
    changed = MADE[:place] + character + MADE[place + 1 :]
    if changed != MADE:
        refused(changed)


@pytest.mark.parametrize(
    "token",
    [
        "", "flr_", MADE[4:], MADE[:-1], MADE[:-4], MADE + "A", MADE + "AAAA", MADE + "=", MADE + "====",
        MADE + "\n", " " + MADE, "FLR_" + MADE[4:], MADE.upper(), MADE + MADE, "flr_" + MADE,
    ],
)  # fmt: skip
def test_other_lengths_and_forms_are_refused(token: str) -> None:
    refused(token)


def test_the_other_alphabet_of_base64_is_refused() -> None:
    """It would be a second spelling of the same token."""
    for counter in range(200):
        token = TOKENS.make(ID, counter)
        other = token[4:].replace("-", "+").replace("_", "/")
        if other != token[4:]:
            refused("flr_" + other)
            return
    pytest.fail("no token had such a character")


@given(st.text())
@example("flr_" + "A" * 68)
def test_no_text_is_one_by_chance(text: str) -> None:
    refused(text)
    refused("flr_" + text)


def test_each_bit_is_under_the_code() -> None:
    whole = base64.urlsafe_b64decode(MADE[4:])
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        refused("flr_" + base64.urlsafe_b64encode(changed).decode())


def test_keys_are_of_the_secret_and_of_the_secret_of_access_tokens() -> None:
    makers = [
        TOKENS,
        RefreshTokens(OTHER),
        RefreshTokens(SECRET, b"x" * 32),
        RefreshTokens(SECRET, b"y" * 32),
    ]
    assert len({maker.make(ID, 7) for maker in makers}) == 4
    assert RefreshTokens(SECRET, b"").make(ID, 7) == MADE
    for maker in makers[1:]:
        refused(MADE, maker)


def test_the_keyed_secret_itself_is_no_key_of_tokens() -> None:
    """Other parts may sign with it, or derive keys of their own."""
    content = base64.urlsafe_b64decode(MADE[4:])[:19]
    forged = content + hmac.digest(SECRET, content, "sha256")
    refused("flr_" + base64.urlsafe_b64encode(forged).decode())


def test_a_token_of_another_version_is_refused() -> None:
    content = b"\x02" + base64.urlsafe_b64decode(MADE[4:])[1:19]
    newer = content + TOKENS._code(content)
    refused("flr_" + base64.urlsafe_b64encode(newer).decode())


def test_the_digest_of_a_key_is_of_its_session() -> None:
    digest = TOKENS.key_digest(ID, "1")
    assert len(digest) == 16
    assert digest == TOKENS.key_digest(ID, "1")
    others = {
        TOKENS.key_digest(ID, "2"),
        TOKENS.key_digest(ID[:-1] + "6", "1"),
        RefreshTokens(OTHER).key_digest(ID, "1"),
    }
    assert len(others | {digest}) == 4
