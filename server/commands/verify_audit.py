"""`python -m server verify-audit`: whether the audit trail is intact."""

import gc
import json
import sys
from dataclasses import asdict

from rich.console import Console

from server.commands.database import existing_audit_trail, on_database
from server.config import Settings
from server.domains.audit.verification import Report, verify
from server.storage.audit import Head
from server.storage.driver import Database


def verify_audit(known: str | None) -> int:
    """Read the trail and report what is wrong with it. Returns 0 if nothing is.

    `known` is a head that an earlier run printed, `SEQUENCE:LINK`.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    head = _head(known) if known else None

    async def walk(database: Database, settings: Settings) -> Report:
        trail = await existing_audit_trail(database, settings)
        with console.status("Reading the audit trail …") as status:
            return await verify(
                trail, trail.codes, head, lambda done: status.update(f"{done:,} events read …")
            )

    gc.disable()  # events have no cycles; collection would take a seventh of the time
    report = on_database(walk)
    if sys.stdout.isatty():
        _print(report)
    else:
        print(json.dumps(asdict(report)))
    return 1 if report.problems else 0


def _print(report: Report) -> None:
    out = Console(highlight=False, soft_wrap=True, markup=False)
    for problem in report.problems:
        out.print(problem, style="red")
    if report.unshown:
        out.print(f"and {report.unshown:,} more", style="red")
    out.print(f"{report.sealed:,} events sealed, {report.unsealed:,} not yet.")
    if not report.problems:
        out.print("The audit trail is intact.", style="green")
        out.print("Keep this where nobody can change it, and pass it to the next run as --known:")
        out.print(f"{report.head.sequence}:{report.head.link}")


def _head(text: str) -> Head:
    number, _, link = text.partition(":")
    if not number.isdecimal() or len(link) != len(Head().link):
        raise SystemExit("finlink: --known must be SEQUENCE:LINK, as an earlier run printed it")
    return Head(int(number), link)
