"""Values of settings that look right and never work are refused by name before anything starts."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from server.config import ConfigError
from server.edge.settings import EdgeSettings
from server.settings import every, load

NEVER_WORK = {
    "HOST": [
        "::ffff:127.0.0.1", "localhost", "127.1", "[::1]", "fe80::1%lo", "224.0.0.1", "255.255.255.255",
        "a b",
    ],
    "METRICS_HOST": ["localhost", "nowhere.invalid"],
    "CORS_ORIGINS": [
        "*", "http://", "https://app.example/", "https://App.example", "https://app.example:443",
        "https://*.example", "https://user@app.example", "https://bücher.example", "https://a:99999",
        "https://[::1", "null", "https://fine.example,app.example",
    ],
    "TRUSTED_PROXIES": ["10.0.0.1/8", "proxy.example", "10.0.0.0/33"],
    "RATE_LIMIT_SERVICE": ["limits", "limits:0", "limits:65536", "lim its:80", "http://limits:80"],
    "OTEL_EXPORTER_OTLP_ENDPOINT": [
        "localhost:4317", "http://localhost:99999", "http://exa mple:4317",
        "http://localhost:4317/v1/traces", "http://user:word@localhost:4317",
    ],
    "PUBLIC_URL": [
        "finlink.example", "https://finlink.example/", "https://finlink.example/api", "https://*",
        "https://Finlink.example", "https://finlink.example:443", "ftp://finlink.example",
        "https://user@finlink.example", "https://finlink.example?x=1",
    ],
    "TLS_MIN_VERSION": ["1.1", "1", "TLSv1.3"],
    "JWT_SECRET": ["x" * 31], "JWT_AUDIENCE": ["two words", "bücher", "x" * 256],
    "JWT_ALGORITHM": ["none", "EdDSA", "es256", "HS512"],
    "ACCESS_TOKEN_EXPIRE_MINUTES": ["0", "61", "1.5"], "SIGNING_KEY_DAYS": ["0", "3651"],
    "ZERODHA_BASE_URL": [
        "api.kite.trade", "http://", "http://x:99999", "https://x?y=1", "ftp://x", "https:x",
        "https://a:0", "https://a..b", "https://a/b c", "https:\\\\a",
    ],
    "MONGODB_URI": ["127.0.0.1:27017", "mongodb://h/a b", "mongodb://h/admin", "mongodb://h/my.data"],
    "DB_NAME": ["admin", "local", "config", "a.b", "x" * 39],
    "SANDBOX_DATA": ["/nonexistent", "/etc/hosts"],
    "DATA_DIR": ["~nosuchuser/x"], "API_KEYS": [f"finlink_{'k' * 43}", "a:read:x"],
    "SANDBOX": ["perhaps"], "WORKERS": ["auto", "0", "1.5"], "TRACE_PERCENT": ["1%", "nan", "101"],
    "SMTP_URL": [
        "mail.example", "http://mail.example", "smtp://", "smtp://a b", "smtp://mail.example:x",
        "smtp://mail.example:0", "smtp://mail.example/path", "smtp://user@mail.example", "smtp://:w@h",
        "smtp://mail.example?tls=no", "smtp://u:pa/ss@mail.example",
    ],
    "MAIL_FROM": [
        "Finlink", "post@finlink.example,other@finlink.example", "Finlink <post@finlink.example",
        "Finlink post@finlink.example", "<a@b> <c@d>", 'Fin"link <a@b>', "@finlink.example",
    ],
    "SMS_URL": ["sms.example", "ftp://sms.example", "https://u:w@sms.example", "https://sms.example?a=b"],
    "SMS_TOKEN": ["two words", "é"], "SMS_FROM": ["F!", "ABCDEFGHIJKLM", "+", "+12"],
    "SMS_COUNTRIES": ["india", "in", "XX", "IN;SG", ","], "SMS_PER_HOUR": ["0", "many"],
    "PORT": ["0", "65536", "http"], "LOG_LEVEL": ["info"], "RATE_LIMIT_USERS": ["0", "many"],
    "REFRESH_REUSE_SECONDS": ["-1", "601", "1.5"],
    "BCRYPT_ROUNDS": ["9", "16", "twelve"],
}  # fmt: skip


def refused(**given: object) -> list[str]:
    """The lines of the message."""
    with pytest.raises(ConfigError) as caught:
        load(_env_file=None, **given)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in NEVER_WORK.items() for value in values]
)
def test_what_never_works_is_refused_by_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    (line,) = refused()
    assert line.startswith(f"{name}: ")
    assert "must" in line
    assert "unable to" not in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOST", "::"), ("HOST", "::1"), ("HOST", "10.1.2.3"),
        ("CORS_ORIGINS", "https://app.example, http://localhost:5173,https://[::1]:8443"),
        ("CORS_ORIGINS", "https://xn--bcher-kva.example"), ("TRUSTED_PROXIES", "10.0.0.0/8,::1"),
        ("RATE_LIMIT_SERVICE", "limits_1.internal:8081"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example"),
        ("ZERODHA_BASE_URL", "http://127.0.0.1:8085/kite"),
        ("PUBLIC_URL", "https://finlink.example"), ("PUBLIC_URL", "http://10.1.2.3:3000"),
        ("JWT_SECRET", "x" * 32), ("JWT_ALGORITHM", "RS256"),
        ("MONGODB_URI", "mongodb://u:p%40ss@a:1,b:2/x?replicaSet=r"),
        ("SANDBOX", "yes"), ("TRACE_PERCENT", "0.5"), ("MAIL_FROM", "post@finlink.example"),
        ("MAIL_FROM", "Finlink, Bücher <post@finlink.example>"), ("SMS_COUNTRIES", "IN, SG"),
        ("SMS_FROM", "+14155550100"), ("SMS_FROM", "FINLNK"),
    ],
)  # fmt: skip
def test_what_works_is_taken(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    load(_env_file=None)


@pytest.mark.parametrize("name", sorted({name for name, _ in every()} | {"RATE_LIMIT_USERS"}))
def test_bytes_that_are_no_utf8_are_refused_by_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environb, name.encode(), b"/tmp/\xff\xfe")
    assert refused() == [f"{name}: must be text in UTF-8"]


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"PORT=\xff\n", "must be text in UTF-8"),
        ("PORT=3001\n".encode("utf-16"), "must be text in UTF-8"),
        (b"# ports\nPORT 3001\n", "line 2 must be NAME=value, or begin with #"),
        (b"PORT\n", "line 1 must be NAME=value, or begin with #"),
        (b"DB_NAME=a\0b\n", "line 1 must be NAME=value, or begin with #"),
        (b"DB_NAME='open\n", "line 1 must be NAME=value, or begin with #"),
    ],
)
def test_a_file_that_sets_nothing_is_refused(content: bytes, wrong: str, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="must be") as caught:
        load(_env_file=file)
    assert str(caught.value) == f"{file}: {wrong}"


def test_a_file_with_a_byte_order_mark_counts_from_its_first_line(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xef\xbb\xbfPORT=3001\n")
    assert load(_env_file=file).of(EdgeSettings).port == 3001


def test_a_folder_of_that_name_is_no_file_of_settings(tmp_path: Path) -> None:
    load(_env_file=tmp_path)  # such as a Python environment


def test_a_users_folder_is_found_without_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert load(_env_file=None, data_dir="~/finlink").data_dir == Path("/home/someone/finlink")


@pytest.mark.parametrize(
    ("environment", "address"),
    [("development", "127.0.0.1"), ("test", "127.0.0.1"), ("production", "0.0.0.0")],  # noqa: S104
)
def test_only_production_listens_for_others_unasked(environment: str, address: str) -> None:
    given = {"_env_file": None, "app_env": environment}
    if environment == "production":
        given |= {
            "encryption_key": secrets.token_hex(32),
            "public_url": "https://finlink.example",
            "email_verification": "optional",
        }
    assert load(**given).of(EdgeSettings).address == address
    assert load(**given, host="::").of(EdgeSettings).address == "::"


def test_a_pipe_is_no_file_of_settings(tmp_path: Path) -> None:
    """It would be waited for."""
    os.mkfifo(tmp_path / ".env")
    with pytest.raises(ConfigError, match="must be a file"):
        load(_env_file=tmp_path / ".env")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MONGODB_URI", "mongodb://u:pa[SECRET]w@h:27017/db"),
        ("MONGODB_URI", "mongodb://u:\N{ACCOUNT OF}SECRET@h/db"),
        ("API_KEYS", "finlink_SECRET"),
        ("API_KEYS", "finlink_SECRET:read"),
        ("SMTP_URL", "smtp://u:pa[SECRET]w@h"),
        ("SMTP_URL", "smtp://u:SECRET/w@h"),
        ("SMS_TOKEN", "SECRET token"),
    ],
)
def test_no_message_has_a_secret(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    (line,) = refused()
    assert line.startswith(f"{name}: ")
    assert "SECRET" not in line
