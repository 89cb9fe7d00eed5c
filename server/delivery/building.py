"""Delivery, wired."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from server.config import Settings
from server.delivery import metrics
from server.delivery.addresses import MailServer, parse_sender
from server.delivery.files import mail_files, sms_files
from server.delivery.mail import MailTransport
from server.delivery.message import Channel
from server.delivery.outbox import Outbox
from server.delivery.sealing import Sealer
from server.delivery.settings import DeliverySettings
from server.delivery.sms import SmsTransport
from server.delivery.store import COUNT_TRY, Delivery, DeliveryStore
from server.delivery.worker import DeliveryWorker, Transport
from server.jobs.queue import DueJobs
from server.jobs.scheduler import JobScheduler
from server.storage.background import STOP_SECONDS, Background
from server.storage.driver import Database

CONCURRENCY = 8  # messages of one channel at a time, in one process
OVERDUE_SECONDS = 5.0  # between two looks for overdue messages
OUTBOX_FOLDER = "outbox"  # in DATA_DIR
# Where development has none of its own.
_MAIL_FROM = "Finlink <finlink@localhost>"
_SMS_FROM = "FINLNK"
_SANDBOX_TOKEN = "sandbox"  # noqa: S105 - the sandbox takes any


class Deliveries:
    """The outbox, and the workers that send what is in it: for every process that serves or syncs.

    `start` it once; `stop` lets what is under way end, and hands the rest back.
    """

    def __init__(
        self,
        database: Database,
        key: bytes,
        transports: Mapping[Channel, Transport],
        now: Callable[[], datetime],
    ) -> None:
        """`key`: 32 bytes, the same for all processes."""
        store, sealer = DeliveryStore(database), Sealer(key)
        self._transports = transports
        self._due = {
            channel: DueJobs(store.jobs[channel], now, [COUNT_TRY], [COUNT_TRY])
            for channel in transports
        }
        # One a channel, so that a mail server that hangs keeps no code by SMS waiting.
        self._schedulers = [
            self._scheduler(channel, DeliveryWorker(channel, store, sealer, transport, now))
            for channel, transport in transports.items()
        ]
        self._reporting = Background("look for overdue messages", self._report, OVERDUE_SECONDS)
        self.outbox = Outbox(store, sealer, transports, now, self._wake)
        metrics.show_zeros(transports)

    def start(self) -> None:
        self._reporting.start()
        for each in self._schedulers:
            each.start()

    async def stop(self, grace: float = STOP_SECONDS) -> None:
        stopping = [each.stop(grace) for each in self._schedulers]
        await asyncio.gather(*stopping, self._reporting.stop(grace))
        for transport in self._transports.values():
            await transport.aclose()

    async def overdue(self) -> timedelta:
        """How long the message that is most overdue has waited for a worker."""
        return await self.outbox.overdue()

    def _scheduler(self, channel: Channel, worker: DeliveryWorker) -> JobScheduler[Delivery]:
        return JobScheduler(f"messages by {channel}", self._due[channel], worker.run, CONCURRENCY)

    def _wake(self) -> None:
        for each in self._schedulers:
            each.wake()

    async def _report(self) -> None:
        metrics.OVERDUE.set((await self.overdue()).total_seconds())


def build_delivery(
    settings: Settings, database: Database, key: bytes, now: Callable[[], datetime]
) -> Deliveries:
    """`key`: 32 bytes of Finlink's own, that stay when the ring's keys are replaced."""
    return Deliveries(database, key, transports_of(settings), now)


def transports_of(settings: Settings) -> dict[Channel, Transport]:
    """By what is set, else the sandbox's, else files; in production a channel that is not set is missing."""
    ways: Mapping[Channel, Transport | None] = {"mail": _mail(settings), "sms": _sms(settings)}
    return {channel: way for channel, way in ways.items() if way is not None}


def _mail(settings: Settings) -> Transport | None:
    own = settings.of(DeliverySettings)
    sender = parse_sender(own.mail_from or _MAIL_FROM)
    if own.smtp_url is not None:
        url = own.smtp_url.get_secret_value()
        server = MailServer.parse(url, loopback_is_plain=not settings.production)
        return MailTransport(server, sender)
    if settings.use_sandbox:
        return MailTransport(MailServer("127.0.0.1", own.sandbox_mail_port, plain=True), sender)
    return None if settings.production else mail_files(settings.data_dir / OUTBOX_FOLDER, sender)


def _sms(settings: Settings) -> Transport | None:
    own = settings.of(DeliverySettings)
    if own.sms_url is not None and own.sms_token is not None and own.sms_from is not None:
        return SmsTransport(own.sms_url, own.sms_token.get_secret_value(), own.sms_from)
    sender = own.sms_from or _SMS_FROM
    if settings.use_sandbox:
        url = f"http://127.0.0.1:{own.sandbox_inbox_port}/sms"
        return SmsTransport(url, _SANDBOX_TOKEN, sender)
    return None if settings.production else sms_files(settings.data_dir / OUTBOX_FOLDER, sender)
