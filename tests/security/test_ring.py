"""The key ring and data keys."""

from __future__ import annotations

import os

import pytest

from server.security.data_key import DataKey, Owner
from server.security.encryption import Undecipherable
from server.security.ring import KeyRing, MissingKey, Wrapped

OLD, NEW = os.urandom(32), os.urandom(32)
KEY = os.urandom(32)
PLACE = "data_keys/dk_1/connectors/ann/zerodha"
ANN = Owner("ann", "connectors/ann/zerodha")
SECRETS = {"access_token": "tok_1", "naïve": "☃"}


def test_the_first_key_wraps_and_all_unwrap() -> None:
    by_old = KeyRing({"old": OLD}).wrap(KEY, place=PLACE)
    both = KeyRing({"new": NEW, "old": OLD})
    by_new = both.wrap(KEY, place=PLACE)
    assert (by_old.by, by_new.by) == ("old", "new")
    assert both.unwrap(by_old, place=PLACE) == both.unwrap(by_new, place=PLACE) == KEY
    assert KEY not in by_old.content + by_new.content


def test_what_was_rewrapped_needs_the_old_key_no_more() -> None:
    by_old = KeyRing({"old": OLD}).wrap(KEY, place=PLACE)
    by_new = KeyRing({"new": NEW, "old": OLD}).rewrap(by_old, place=PLACE)
    assert KeyRing({"new": NEW}).unwrap(by_new, place=PLACE) == KEY


def test_a_missing_key_is_named() -> None:
    by_old = KeyRing({"old": OLD}).wrap(KEY, place=PLACE)
    for open_it in (KeyRing({"new": NEW}).unwrap, KeyRing({"new": NEW}).rewrap):
        with pytest.raises(MissingKey, match=r"key old is missing; put it back .* as old:KEY"):
            open_it(by_old, place=PLACE)


@pytest.mark.parametrize(
    ("ring", "wrapped_as", "place"),
    [
        ({"old": NEW}, "old", PLACE),
        ({"old": OLD, "new": NEW}, "new", PLACE),
        ({"old": OLD}, "old", "data_keys/dk_2/connectors/ann/zerodha"),
        ({"old": OLD}, "old", "data_keys/dk_1/connectors/ben/zerodha"),
    ],
    ids=["another key", "another id", "another data key's", "another owner's"],
)
def test_a_wrapped_key_opens_in_its_place_only(
    ring: dict[str, bytes], wrapped_as: str, place: str
) -> None:
    content = KeyRing({"old": OLD}).wrap(KEY, place=PLACE).content
    with pytest.raises(Undecipherable):
        KeyRing(ring).unwrap(Wrapped(wrapped_as, content), place=place)


def test_a_data_key_opens_what_it_sealed() -> None:
    sealed = DataKey("dk_1", ANN, KEY).seal(SECRETS, field="session")
    assert sealed.startswith("v2.dk_1.")
    assert "tok_1" not in sealed
    assert DataKey("dk_1", ANN, KEY).open(sealed, field="session") == SECRETS


@pytest.mark.parametrize(
    ("key", "field"),
    [
        (DataKey("dk_1", ANN, KEY), "login"),
        (DataKey("dk_1", Owner("ben", "connectors/ben/zerodha"), KEY), "session"),
        (DataKey("dk_2", ANN, KEY), "session"),
        (DataKey("dk_1", ANN, OLD), "session"),
    ],
    ids=["another field", "another owner", "another id", "another key"],
)
def test_what_it_sealed_opens_nowhere_else(key: DataKey, field: str) -> None:
    sealed = DataKey("dk_1", ANN, KEY).seal(SECRETS, field="session")
    with pytest.raises(Undecipherable):
        key.open(sealed, field=field)


@pytest.mark.parametrize(
    "text", ["", "v2", "v2.dk_1", "v2.dk_1.", "v2.dk_1.AAAA", "v2.dk_1.%", "v1.AAAA"]
)
def test_any_other_text_opens_nothing(text: str) -> None:
    with pytest.raises(Undecipherable):
        DataKey("dk_1", ANN, KEY).open(text, field="session")
