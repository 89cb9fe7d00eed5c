"""Messages as files, where development has nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path

from server.delivery.addresses import parse_sender
from server.delivery.files import mail_files, sms_files
from server.delivery.message import Outgoing

WRITTEN = datetime(2026, 2, 3, 4, 5, 6, 789_000, tzinfo=UTC)
MAIL = Outgoing("dlv_1", WRITTEN, "ann@example.com", "Open https://a.example/#token=t", "Hello")
SMS = Outgoing("dlv_2", WRITTEN, "+919876543210", "481516 is the code", "")


def written(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def test_a_mail_is_a_file_that_mail_programs_open(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "outbox"
    await mail_files(folder, parse_sender("post@finlink.example")).send(MAIL)
    (file,) = written(folder)
    assert file.name == "20260203T040506.789000Z-dlv_1.eml"
    mail = message_from_bytes(file.read_bytes(), policy=default)
    assert (mail["To"], mail["Subject"]) == ("ann@example.com", "Hello")
    assert "https://a.example/#token=t" in file.read_text()


async def test_an_sms_is_a_text(tmp_path: Path) -> None:
    await sms_files(tmp_path, "FINLNK").send(SMS)
    (file,) = written(tmp_path)
    assert file.suffix == ".txt"
    assert file.read_text() == "To: +919876543210\nFrom: FINLNK\n\n481516 is the code\n"


async def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    await sms_files(folder, "FINLNK").send(SMS)
    (file,) = written(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_second_try_replaces_the_first(tmp_path: Path) -> None:
    for _ in range(2):
        await sms_files(tmp_path, "FINLNK").send(SMS)
    assert len(written(tmp_path)) == 1
