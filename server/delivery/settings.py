"""Settings of mail and SMS."""

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from server.config import Settings, SettingsBase
from server.delivery.addresses import MailServer, parse_sender
from server.security.outgoing import is_loopback
from server.setting_types import HttpUrl, Port, Words, checked


def _smtp_url(value: str) -> None:
    MailServer.parse(value, loopback_is_plain=False)


def _sms_sender(value: str) -> None:
    if not re.fullmatch(r"\+?[0-9]{3,15}|[A-Za-z0-9 ]{3,11}", value):
        raise ValueError("must be a number, or 3 to 11 letters and digits")


def _token(value: str) -> None:
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        raise ValueError("must be visible ASCII characters")


def _countries(value: tuple[str, ...]) -> tuple[str, ...]:
    from phonenumbers import SUPPORTED_REGIONS  # noqa: PLC0415 - large, and the default needs no check

    if not value or not set(value) <= set(SUPPORTED_REGIONS):
        raise ValueError("must be countries such as IN,SG: two capital letters each")
    return value


class DeliverySettings(SettingsBase):
    """A channel without a URL is the sandbox's; without a sandbox, files in development, else nothing."""

    smtp_url: Annotated[SecretStr | None, checked(_smtp_url)] = None
    mail_from: Annotated[str, checked(parse_sender)] | None = None
    sms_url: HttpUrl | None = None
    sms_token: Annotated[SecretStr | None, checked(_token)] = None
    sms_from: Annotated[str, checked(_sms_sender)] | None = None
    # Where SMS may go, and how many in an hour.
    sms_countries: Annotated[Words, AfterValidator(_countries)] = ("IN",)
    sms_per_hour: Annotated[int, Field(ge=1, le=1_000_000)] = 300
    # Of the sandbox: its mail server; its SMS provider and the page of what came.
    sandbox_mail_port: Port = 8082
    sandbox_inbox_port: Port = 8083

    def problems(self) -> Iterator[str]:
        if self.smtp_url is not None and self.mail_from is None:
            yield "MAIL_FROM must be set where SMTP_URL is: the address that mails come from"
        if self.sms_url is None:
            return
        if self.sms_token is None or self.sms_from is None:
            yield "SMS_TOKEN and SMS_FROM must be set where SMS_URL is"
        if self.sms_url.startswith("http:") and (self.production or not is_loopback(self.sms_url)):
            yield "SMS_URL must be https://; http:// is for this machine, outside production"

    def needs_sandbox(self, settings: Settings) -> bool:
        """Whether one of the channels is the sandbox's."""
        return settings.use_sandbox and (self.smtp_url is None or self.sms_url is None)
