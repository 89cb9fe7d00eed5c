"""Device tokens: nobody makes one, and one that was made is of one user until the epoch grows."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domains.identity.credentials.lockout.devices import DeviceTokens
from server.domains.identity.credentials.lockout.model import Name
from tests.domains.identity.lockout.world import ANN, BOB, SECRET

TOKENS = DeviceTokens(SECRET)


@dataclass(frozen=True)
class Account:
    id: str
    device_epoch: int


def test_a_token_is_of_its_user_and_epoch() -> None:
    device = TOKENS.read(TOKENS.make(ANN, 3))
    assert device is not None
    assert device.is_of(Account(ANN, 3))
    assert not device.is_of(Account(ANN, 4))
    assert not device.is_of(Account(ANN, 2))
    assert not device.is_of(Account(BOB, 3))
    assert device.name == Name("device", f"{ANN}/{device.id}", ANN)


def test_each_login_makes_another_device() -> None:
    first, second = (TOKENS.read(TOKENS.make(ANN, 0)) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.name != second.name


@given(st.integers(0, 2**40 - 1))
def test_any_epoch_is_read_as_it_was_made(epoch: int) -> None:
    device = TOKENS.read(TOKENS.make(ANN, epoch))
    assert device is not None
    assert (device.user, device.epoch) == (ANN, epoch)


def test_no_byte_can_be_changed() -> None:
    token = TOKENS.make(ANN, 0)
    content = urlsafe_b64decode(token.removeprefix("fld_"))
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        assert TOKENS.read("fld_" + urlsafe_b64encode(changed).decode()) is None


@pytest.mark.parametrize(
    "token",
    [
        "",
        "fld_",
        "fld_" + "A" * 88,
        "x",
        "flr_" + "A" * 88,
        "fld_" + "A" * 10_000,
        "fld_" + "é" * 88,
    ],
)
def test_what_is_no_token(token: str) -> None:
    assert TOKENS.read(token) is None


def test_a_token_has_one_spelling_and_one_key() -> None:
    token = TOKENS.make(ANN, 0)
    for other in (token + "=", token + "\n", " " + token, token.upper(), token[:-1]):
        assert TOKENS.read(other) is None
    assert DeviceTokens(bytes(32)).read(token) is None


def test_another_version_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("server.domains.identity.credentials.lockout.devices._VERSION", b"\x02")
        token = TOKENS.make(ANN, 0)
    assert TOKENS.read(token) is None
