"""Whether the audit trail is whole: nothing altered, removed, put in, or cut off at its end."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from server.storage.audit import NO_LINK, AuditTrail, Codes, Head

SHOWN = 20  # findings of one kind that are listed one by one


@dataclass(slots=True)
class Report:
    """The result. `problems` is empty if all is well."""

    sealed: int = 0
    unsealed: int = 0
    head: Head = field(default_factory=Head)
    problems: list[str] = field(default_factory=list)
    unshown: int = 0

    def add(self, problem: str) -> None:
        if len(self.problems) < SHOWN:
            self.problems.append(problem)
        else:
            self.unshown += 1


async def verify(
    trail: AuditTrail,
    codes: Codes,
    known: Head | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Walk the whole trail. `known` is a head that an earlier verification printed."""
    report = Report()
    link, sequence, seen_known = NO_LINK, 0, known is None or known.sequence == 0
    async for events in trail.sealed():
        for event in events:
            number = event["sequence"]
            if not isinstance(number, int):  # a list with a number in it, or half of one
                report.add(f"event {event['_id']} was altered or made up")
                continue
            if number != sequence + 1:
                report.add(_gap(sequence + 1, number - 1))
            if not codes.fits(event):
                report.add(f"event {number} was altered or made up")
            stored_link = str(event.get("link"))
            wanted = codes.of_link(link, number, str(event.get("mac")))
            if number == sequence + 1 and not _same(wanted, stored_link):
                report.add(f"event {number} is not the one that was sealed there")
            sequence, link = number, stored_link
            if known is not None and number == known.sequence:
                seen_known = True
                if not _same(known.link, stored_link):
                    report.add(
                        f"event {number} is not the one of the head given: all was rewritten"
                    )
            report.sealed += 1
        progress(report.sealed)
    await _check_head(trail, codes, report, sequence, link)
    if known is not None and not seen_known:
        report.add(f"the trail once reached event {known.sequence}; its end was cut off")
    async for event in trail.unsealed():
        report.unsealed += 1
        if not codes.fits(event):
            report.add(f"event {event['_id']}, not yet sealed, was altered or made up")
    return report


async def _check_head(
    trail: AuditTrail, codes: Codes, report: Report, sequence: int, link: str
) -> None:
    head = report.head = await trail.head()
    if head.sequence == 0:
        if sequence:
            report.add("the head is missing")
        return
    if not _same(codes.of_head(head), await trail.head_code()):
        report.add("the head was altered")
    elif head.sequence > sequence:
        report.add(_gap(sequence + 1, head.sequence))
    elif head.sequence < sequence:
        report.add(f"events after {head.sequence} were put in")
    elif not _same(head.link, link):
        report.add("the events are not those that the head was made for")


def _gap(first: int, last: int) -> str:
    return f"event {first} is missing" if first >= last else f"events {first} to {last} are missing"


def _same(wanted: str, found: Any) -> bool:
    return isinstance(found, str) and hmac.compare_digest(wanted.encode(), found.encode())
