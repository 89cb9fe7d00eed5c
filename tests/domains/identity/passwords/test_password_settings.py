"""The settings of passwords."""

from __future__ import annotations

import secrets

import pytest

from server.config import ConfigError
from server.domains.identity.settings import IdentitySettings
from server.settings import load


@pytest.mark.parametrize(
    ("name", "default", "least", "most"),
    [
        ("BCRYPT_ROUNDS", 12, 10, 15),
        ("PASSWORD_MIN_LENGTH", 8, 8, 64),
        ("PASSWORD_HASHERS", 1, 1, 8),
    ],
)
def test_each_has_bounds(
    name: str, default: int, least: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded() -> object:
        return getattr(load(_env_file=None).of(IdentitySettings), name.lower())

    assert loaded() == default
    for value in (least, most):
        monkeypatch.setenv(name, str(value))
        assert loaded() == value
    for value in (least - 1, most + 1):
        monkeypatch.setenv(name, str(value))
        with pytest.raises(ConfigError, match=rf"^{name}: must be (greater|less) than or equal to"):
            load(_env_file=None)


def test_production_needs_the_full_cost() -> None:
    given = {
        "_env_file": None,
        "app_env": "production",
        "encryption_key": secrets.token_hex(32),
        "public_url": "https://finlink.example",
        "email_verification": "optional",
    }
    with pytest.raises(ConfigError) as caught:
        load(**given, bcrypt_rounds=11)
    assert str(caught.value) == "BCRYPT_ROUNDS: must be at least 12 in production"
    assert load(**given).of(IdentitySettings).bcrypt_rounds == 12
    assert load(_env_file=None, bcrypt_rounds=10).of(IdentitySettings).bcrypt_rounds == 10
