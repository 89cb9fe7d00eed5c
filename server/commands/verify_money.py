"""`python -m server verify-money`: whether balances and sums are those of the transactions."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from server.commands.database import key_ring, on_database
from server.config import ConfigError, Settings
from server.domains.money.ledger.service import Book
from server.domains.money.ledger.store import LedgerStore
from server.domains.money.sealing.service import MoneyKeys
from server.domains.money.transactions.store import TransactionStore
from server.domains.money.transactions.verification.model import Report
from server.domains.money.transactions.verification.service import Verification
from server.domains.money.transactions.verification.store import CheckStore
from server.domains.users.errors import UserNotFound
from server.domains.users.service import UserDirectory
from server.domains.users.store import UserStore
from server.storage.data_keys import DataKeyStore
from server.storage.driver import Database

EVERY_SECONDS = 1.0  # between lines of progress


def verify_money(user_id: str | None, **given: object) -> int:
    """Recount and report. Returns 0 if nothing differs.

    Settings that are `given` beat the environment. Exits with one line if it cannot.
    """

    async def work(database: Database, settings: Settings) -> Report:
        users = UserDirectory(UserStore(database))
        book = Book(
            LedgerStore(database), MoneyKeys(DataKeyStore(database, key_ring(settings))), users
        )
        verification = Verification(book, TransactionStore(database), CheckStore(database))
        if user_id is None:
            with _progress() as show:
                return await verification.of_all(show)
        report = Report()
        try:
            report.add(await verification.of_user(await users.identity(user_id)))
        except UserNotFound:
            raise ConfigError(f"there is no user {user_id}") from None
        return report

    report = on_database(work, check=key_ring, failed="Run this again.", **given)
    if sys.stdout.isatty():
        _print(report)
    else:
        print(json.dumps({"event": "different" if report.different else "equal", **asdict(report)}))
    return 1 if report.different else 0


@contextmanager
def _progress() -> Iterator[Callable[[Report, int], None]]:
    """Inside, progress is shown: a bar on a terminal, otherwise a line of JSON a second on stderr."""
    if sys.stderr.isatty():
        columns = (
            TextColumn("Recounting"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} users"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=0)
            yield lambda report, total: bar.update(
                task, completed=report.users, total=max(total, report.users)
            )
        return
    printed_at = time.monotonic()

    def show(report: Report, total: int) -> None:
        nonlocal printed_at
        if time.monotonic() - printed_at >= EVERY_SECONDS:
            printed_at = time.monotonic()
            facts = {
                "event": "progress", "users": report.users, "of": total,
                "transactions": report.transactions, "different": report.different,
            }  # fmt: skip
            print(json.dumps(facts), file=sys.stderr, flush=True)

    yield show


def _print(report: Report) -> None:
    out = Console(highlight=False, soft_wrap=True, markup=False)
    for problem in report.problems:
        out.print(problem, style="red")
    if report.unshown:
        out.print(f"and {report.unshown:,} more", style="red")
    of_all = f"{_count(report.transactions, 'transaction')} of {_count(report.users, 'user')}"
    out.print(f"Recounted {of_all}.")
    if report.different:
        whose = _count(report.different, "user")
        out.print(f"Differences in the ledgers of {whose}.", style="red")
    else:
        out.print("All balances and sums are those of the transactions.", style="green")


def _count(number: int, one: str) -> str:
    return f"{number:,} {one}{'' if number == 1 else 's'}"
