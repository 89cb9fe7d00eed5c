"""Settings of identity: what goes together, and what production refuses."""

from __future__ import annotations

import secrets

import pytest
from pydantic import SecretStr

from server.config import ConfigError
from server.domains.identity.settings import IdentitySettings
from server.settings import SECRET_SETTINGS, load

ORIGIN = "https://finlink.example"
PRODUCTION = {"app_env": "production", "encryption_key": secrets.token_hex(32)}


def identity(**given: object) -> IdentitySettings:
    return load(_env_file=None, **given).of(IdentitySettings)


@pytest.mark.parametrize(
    ("given", "algorithm"),
    [
        ({}, "ES256"),
        ({"jwt_algorithm": "RS256"}, "RS256"),
        ({"jwt_secret": "x" * 32}, "HS256"),
        ({"jwt_secret": "x" * 32, "jwt_algorithm": "HS256"}, "HS256"),
        ({"jwt_secret": "x" * 32, "jwt_algorithm": "ES256"}, "ES256"),
    ],
)
def test_a_secret_alone_means_hs256(given: dict[str, object], algorithm: str) -> None:
    assert identity(**given).algorithm == algorithm


def test_in_development_the_origin_is_this_machines() -> None:
    assert identity().origin(3000) == "http://localhost:3000"
    assert identity(public_url="http://10.1.2.3:8080").origin(3000) == "http://10.1.2.3:8080"
    assert identity(**PRODUCTION, public_url=ORIGIN).origin(3000) == ORIGIN


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({**PRODUCTION}, "PUBLIC_URL must be set in production"),
        ({**PRODUCTION, "public_url": "http://finlink.example"}, "PUBLIC_URL must begin with https://"),
        ({"jwt_algorithm": "HS256"}, "JWT_ALGORITHM=HS256 signs with JWT_SECRET, which must be set"),
        ({"jwt_secret": "short"}, "JWT_SECRET: must be 32 bytes or more"),
        *(
            ({**PRODUCTION, "public_url": ORIGIN, "jwt_secret": secret}, f"JWT_SECRET {reason}")
            for secret, reason in (
                ("x" * 40, "repeats itself"),
                ("0123456789abcdefghijklmnopqrstuvwxyz", "is a sequence"),
                ("your-256-bit-secret-your-256-bit-token", "is a placeholder"),
                ("change-me-please-0a9f7q2w8zx3lmr5", "is a placeholder"),
                ("aabbccddaabbccddaabbccddaabbccda", "has too few different characters"),
            )
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_named(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        identity(**given)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(said)
    assert str(given.get("jwt_secret", "no secret")) not in line


def test_secrets_made_as_advised_are_taken() -> None:
    for _ in range(1000):
        secret = SecretStr(secrets.token_hex(32))
        settings = IdentitySettings(app_env="production", public_url=ORIGIN, jwt_secret=secret)
        assert list(settings.problems()) == []


def test_the_secret_is_one() -> None:
    settings = identity(jwt_secret="never-to-be-shown-0a9f7q2w8zx3lm")
    assert "never-to-be-shown" not in repr(settings)
    assert "JWT_SECRET" in SECRET_SETTINGS
