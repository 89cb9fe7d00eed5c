"""Settings of identity: what goes together, and what production refuses."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from pydantic import SecretStr

from server.config import ConfigError
from server.domains.identity.settings import IdentitySettings
from server.settings import SECRET_SETTINGS, is_secret, load

ORIGIN = "https://finlink.example"
MAIL = {"smtp_url": "smtps://mail.example", "mail_from": "post@finlink.example"}
WITHOUT_MAIL = {"app_env": "production", "encryption_key": secrets.token_hex(32)}
PRODUCTION = {**WITHOUT_MAIL, **MAIL}


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


@pytest.mark.parametrize("given", [{}, {"email_verification": "required"}])
def test_production_verifies_addresses_by_mail_or_says_that_it_does_not(
    given: dict[str, str],
) -> None:
    """Nobody could register otherwise."""
    with pytest.raises(ConfigError) as caught:
        identity(**WITHOUT_MAIL, public_url=ORIGIN, **given)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("SMTP_URL must be set in production")
    assert line.endswith("or EMAIL_VERIFICATION=optional")
    assert identity(**PRODUCTION, public_url=ORIGIN, **given).must_verify_email
    optional = identity(**WITHOUT_MAIL, public_url=ORIGIN, email_verification="optional")
    assert not optional.must_verify_email
    assert identity(email_verification="required").must_verify_email, "mails are the sandbox's"


def test_a_wrong_mail_server_is_not_called_missing_too() -> None:
    with pytest.raises(ConfigError) as caught:
        identity(**{**PRODUCTION, "smtp_url": "mail.example"}, public_url=ORIGIN)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("SMTP_URL: must be ")


def test_secrets_made_as_advised_are_taken() -> None:
    for _ in range(1000):
        secret = SecretStr(secrets.token_hex(32))
        settings = IdentitySettings(app_env="production", public_url=ORIGIN, jwt_secret=secret)
        assert list(settings.problems()) == []


def test_the_secret_is_one() -> None:
    settings = identity(jwt_secret="never-to-be-shown-0a9f7q2w8zx3lm")
    assert "never-to-be-shown" not in repr(settings)
    assert "JWT_SECRET" in SECRET_SETTINGS


PROVIDER = {
    "auth0_issuer": "https://tenant.eu.auth0.com/",
    "auth0_client_id": "abc",
    "auth0_client_secret": "never-to-be-shown",
    "auth0_redirects": "https://app.example/callback, http://localhost:3000/callback,com.app:/x",
}


def test_an_outside_provider() -> None:
    settings = identity(oidc_providers="auth0", oidc=PROVIDER)
    (found,) = settings.providers
    assert (found.name, found.display_name, found.issuer) == (
        "auth0", "Auth0", "https://tenant.eu.auth0.com/",
    )  # fmt: skip
    assert found.scopes == "openid profile email"
    assert found.redirects == (
        "https://app.example/callback", "http://localhost:3000/callback", "com.app:/x",
    )  # fmt: skip
    assert "never-to-be-shown" not in repr(settings) + repr(found)
    assert is_secret("OIDC_AUTH0_CLIENT_SECRET")
    assert not is_secret("PUBLIC_URL")


def test_providers_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "settings"
    file.write_text("OIDC_PROVIDERS=auth0\nOIDC_AUTH0_CLIENT_ID=of the file\n")
    for name, value in PROVIDER.items():
        monkeypatch.setenv(f"OIDC_{name.upper()}", value)
    (found,) = load(_env_file=str(file)).of(IdentitySettings).providers
    assert found.client_id == "abc"


@pytest.mark.parametrize(
    ("names", "changes", "said"),
    [
        ("auth0,auth0", {}, "OIDC_PROVIDERS: must be names, each once"),
        ("Auth0", {}, "OIDC_PROVIDERS: must be names, each once"),
        ("auth0", {"auth0_client_id": None}, "OIDC_AUTH0_CLIENT_ID must be set"),
        ("auth0", {"auth0_isuer": "x"}, "OIDC_AUTH0_ISUER: is no setting of a provider"),
        ("auth0", {"google_issuer": "https://a.example"}, "OIDC_GOOGLE_ISSUER: OIDC_PROVIDERS does not name"),
        ("auth0", {"auth0_issuer": "tenant.eu.auth0.com"}, "OIDC_AUTH0_ISSUER: must be an http"),
        ("auth0", {"auth0_issuer": "https://a.example/?x"}, "OIDC_AUTH0_ISSUER: must be an http"),
        ("auth0", {"auth0_issuer": "https://a.example/a|b"}, "OIDC_AUTH0_ISSUER: must not have"),
        ("auth0", {"auth0_issuer": "http://a.example"}, "OIDC_AUTH0_ISSUER: must begin with https"),
        ("auth0", {"auth0_client_secret": "never to be shown"}, "OIDC_AUTH0_CLIENT_SECRET: must be 1"),
        ("auth0", {"auth0_scopes": "profile email"}, "OIDC_AUTH0_SCOPES: must be scopes"),
        ("auth0", {"auth0_scopes": "openid ü"}, "OIDC_AUTH0_SCOPES: must be scopes"),
        ("auth0", {"auth0_display_name": "a\nb"}, "OIDC_AUTH0_DISPLAY_NAME: must be 1"),
        *(
            ("auth0", {"auth0_redirects": f"https://a.example,{wrong}"}, "OIDC_AUTH0_REDIRECTS: must be")
            for wrong in (
                "https://app.example/#x", "http://app.example/", "app:/x", "/callback",
                "https://u@app.example/", "https://app.example/ x", "https://*.example/<", "javascript:x",
                "https://[::1/",
            )
        ),
        (
            "auth0,b",
            {f"b_{name.removeprefix('auth0_')}": value for name, value in PROVIDER.items()},
            "OIDC_B_ISSUER: is that of another",
        ),
    ],
)  # fmt: skip
def test_a_provider_that_never_works_is_named(
    names: str, changes: dict[str, str | None], said: str
) -> None:
    given = {name: value for name, value in {**PROVIDER, **changes}.items() if value is not None}
    with pytest.raises(ConfigError) as caught:
        identity(**PRODUCTION, public_url=ORIGIN, oidc_providers=names, oidc=given)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(said)
    assert "never" not in line
