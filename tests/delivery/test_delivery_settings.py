"""Where messages go by what is set."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from server.config import ConfigError, Settings
from server.delivery.addresses import MailServer, parse_sender
from server.delivery.building import transports_of
from server.delivery.files import FileTransport
from server.delivery.mail import MailTransport
from server.delivery.settings import DeliverySettings
from server.delivery.sms import SmsTransport
from server.settings import SECRET_SETTINGS, load

MAIL = {"smtp_url": "smtp://finlink:word@mail.example", "mail_from": "post@finlink.example"}
SMS = {"sms_url": "https://sms.example/send", "sms_token": "t", "sms_from": "FINLNK"}


def settings(**given: Any) -> Settings:
    return load(_env_file=None, **given)


def production(**given: Any) -> Settings:
    return settings(
        app_env="production",
        encryption_key=secrets.token_hex(32),
        public_url="https://finlink.example",
        email_verification="optional",
        **given,
    )


def ways(given: Settings) -> dict[str, type]:
    return {channel: type(way) for channel, way in transports_of(given).items()}


def test_by_what_is_set_else_the_sandbox_else_files_else_not_at_all() -> None:
    real = {"mail": MailTransport, "sms": SmsTransport}
    files = {"mail": FileTransport, "sms": FileTransport}
    assert ways(settings()) == real, "the sandbox's"
    assert ways(settings(sandbox=False)) == files
    assert ways(settings(sandbox=False, **SMS)) == {"mail": FileTransport, "sms": SmsTransport}
    assert ways(production()) == {}
    assert ways(production(**MAIL)) == {"mail": MailTransport}
    assert ways(production(**SMS)) == {"sms": SmsTransport}
    assert ways(production(**MAIL, **SMS)) == real


def test_the_sandbox_is_needed_where_a_channel_is_its() -> None:
    def needed(given: Settings) -> bool:
        return given.of(DeliverySettings).needs_sandbox(given)

    assert needed(settings())
    assert needed(settings(**MAIL))
    assert not needed(settings(**MAIL, **SMS))
    assert not needed(settings(sandbox=False))
    assert not needed(production())


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"smtp_url": MAIL["smtp_url"]}, ["MAIL_FROM", "SMTP_URL"]),
        ({**SMS, "sms_token": None}, ["SMS_TOKEN", "SMS_FROM", "SMS_URL"]),
        ({**SMS, "sms_from": None}, ["SMS_TOKEN", "SMS_FROM", "SMS_URL"]),
        ({**SMS, "sms_url": "http://sms.example"}, ["SMS_URL"]),
    ],
)
def test_what_is_wrong_together(given: dict[str, Any], names: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**given)
    (line,) = str(caught.value).splitlines()
    assert all(name in line for name in names)


def test_plain_http_is_for_this_machine_outside_production() -> None:
    here = {**SMS, "sms_url": "http://127.0.0.1:8083/sms"}
    settings(**here)
    with pytest.raises(ConfigError, match="SMS_URL must be https"):
        production(**here)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", MailServer("mail.example", 587)),
        ("smtps://mail.example", MailServer("mail.example", 465, tls=True)),
        ("smtp://127.0.0.1:1025", MailServer("127.0.0.1", 1025, plain=True)),
        ("smtp://[::1]:1025", MailServer("::1", 1025, plain=True)),
        ("smtp://localhost/", MailServer("localhost", 587, plain=True)),
        ("smtps://localhost", MailServer("localhost", 465, tls=True)),
        ("smtp://a%40b:p%2Fw%3A@h:25", MailServer("h", 25, user="a@b", password="p/w:")),
    ],
)
def test_mail_servers(url: str, server: MailServer) -> None:
    assert MailServer.parse(url, loopback_is_plain=True) == server
    assert not MailServer.parse(url, loopback_is_plain=False).plain


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("post@finlink.example", "", "post@finlink.example"),
        ("Finlink <post@finlink.example>", "Finlink", "post@finlink.example"),
        ("<post@finlink.example>", "", "post@finlink.example"),
        ("Finlink, Ltd. <post@finlink.example>", "Finlink, Ltd.", "post@finlink.example"),
    ],
)
def test_senders(text: str, name: str, address: str) -> None:
    sender = parse_sender(text)
    assert (sender.display_name, sender.addr_spec) == (name, address)


def test_files_are_in_the_data_folder(tmp_path: Path) -> None:
    given = settings(sandbox=False, data_dir=tmp_path)
    assert {vars(way)["_folder"] for way in transports_of(given).values()} == {tmp_path / "outbox"}


def test_secrets_are_kept_from_processes_that_need_none() -> None:
    assert {"SMTP_URL", "SMS_TOKEN"} <= SECRET_SETTINGS
    shown = repr(settings(**MAIL, **SMS).of(DeliverySettings))
    assert "word" not in shown
    assert "'t'" not in shown
