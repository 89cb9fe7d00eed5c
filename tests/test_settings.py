"""One load reads the settings of all parts, and names everything that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from server import config, settings
from server.config import ConfigError, KeySettings
from server.domains.connectors.settings import ConnectorSettings
from server.domains.users import settings as user_settings
from server.domains.users.settings import UserSettings
from server.edge.settings import EdgeSettings
from server.settings import PARTS, every, load


def wrong(**given: object) -> list[str]:
    """The lines of the message."""
    with pytest.raises(ConfigError) as caught:
        load(_env_file=None, **given)
    return str(caught.value).splitlines()


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APP_ENV", "ENVIRONMENT", "NODE_ENV", "DATABASE_URL", "REDIS_URL", "DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["APP_ENV", "ENVIRONMENT", "NODE_ENV", "environment"])
def test_the_environment_has_three_names(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "test")
    assert load(_env_file=None).app_env == "test"
    assert load(_env_file=None).of(EdgeSettings).app_env == "test"


def test_names_that_differ_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("ENVIRONMENT=test\n")
    monkeypatch.setenv("NODE_ENV", "test")
    assert load(_env_file=file).app_env == "test"
    monkeypatch.setenv("NODE_ENV", "development")
    with pytest.raises(ConfigError) as caught:
        load(_env_file=file)
    assert str(caught.value) == (
        "ENVIRONMENT, NODE_ENV are names of one setting and must not differ; set ENVIRONMENT alone"
    )
    monkeypatch.setenv("ENVIRONMENT", "development")  # wins over the file
    assert load(_env_file=file).app_env == "development"


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("DATABASE_URL", "MONGODB_URI"),
        ("REDIS_URL", "RESPONSE_CACHE_MB"),
        ("DEBUG", "LOG_LEVEL=DEBUG"),
    ],
)
def test_variables_of_other_products_are_refused_with_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, instead: str
) -> None:
    monkeypatch.setenv(name, "")
    load(_env_file=None)
    monkeypatch.setenv(name, "scheme://user:secret@host")
    (line,) = wrong()
    assert line.startswith(f"{name}: ")
    assert instead in line
    assert "secret" not in line
    monkeypatch.delenv(name)
    file = tmp_path / ".env"
    file.write_text(f"{name}=1\n")
    with pytest.raises(ConfigError, match=instead):
        load(_env_file=file)


def test_each_domain_with_settings_is_among_the_parts() -> None:
    assert {UserSettings, ConnectorSettings, EdgeSettings, KeySettings} <= set(PARTS)
    names = [name for name, _ in every() if name != "APP_ENV"]
    assert len(names) == len(set(names))


def test_a_part_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER_ARCHIVE_DAYS", "7")
    settings = load(_env_file=None, sync_concurrency=3)
    assert settings.of(UserSettings).archive_days == 7
    assert settings.of(ConnectorSettings).sync_concurrency == 3


def test_what_is_given_beats_the_environment_which_beats_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text("USER_ARCHIVE_DAYS=1\nPORT=1001\nTLS_PORT=1002\nRATE_LIMIT_SYNC=9\n")
    monkeypatch.setenv("USER_ARCHIVE_DAYS", "2")
    monkeypatch.setenv("PORT", "2001")
    settings = load(_env_file=file, user_archive_days=3)
    edge = settings.of(EdgeSettings)
    assert settings.of(UserSettings).archive_days == 3
    assert (edge.port, edge.tls_port, edge.rate_limit) == (2001, 1002, {"sync": 9})


def test_what_is_wrong_by_itself_does_not_hide_what_is_wrong_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RATE_LIMIT_USERS", "none")
    lines = wrong(
        app_env="production", log_level="LOUD", user_archive_days=0, tls_port=0, tls_cert="x", sandbox=True,
        rate_limit_service="limits", encryption_key=None, encryption_keys=None, db_name="a b",
    )  # fmt: skip
    named = {line.partition(":")[0].partition(" must")[0].partition(" is ")[0] for line in lines}
    assert named == {
        "LOG_LEVEL", "SANDBOX=true", "ENCRYPTION_KEYS or ENCRYPTION_KEY", "TLS_PORT", "TLS_CERT, TLS_KEY",
        "PUBLIC_URL", "SMTP_URL", "RATE_LIMIT_USERS", "RATE_LIMIT_SERVICE", "DB_NAME", "USER_ARCHIVE_DAYS",
    }  # fmt: skip
    assert len(lines) == len(named)


def test_a_variable_that_parts_share_is_named_once() -> None:
    (line,) = wrong(app_env="staging")
    assert line == "APP_ENV: must be 'development', 'production' or 'test'"


def test_a_wrong_value_is_not_called_missing_too() -> None:
    key, mail = wrong(
        app_env="production",
        encryption_key="short",
        encryption_keys=None,
        public_url="https://finlink.example",
        smtp_url="mail.example",
    )
    assert key.startswith("ENCRYPTION_KEY: must be ")
    assert mail.startswith("SMTP_URL: must be ")


def test_envoy_alone_needs_no_keys() -> None:
    settings = config.load(EdgeSettings, _env_file=None, app_env="production")
    assert settings.of(EdgeSettings).http == "redirect"


def test_a_domains_module_of_settings_may_have_other_classes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = user_settings.__name__
    monkeypatch.setattr(
        user_settings, "Unit", type("Unit", (), {"__module__": name}), raising=False
    )
    ours = [each for each in settings._of_domains() if each.__module__ == name]
    assert ours == [user_settings.UserSettings]
