"""What cannot be known beforehand but must hold together: ids, and how much there is to fetch."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.model import CALLS, Connector

Json = dict[str, Any]
HALF_HOUR = 1800


@dataclass
class Kept:
    """What the runs of one connector told of one data type."""

    added: int = 0
    whole: int | None = None  # how many items the platform has
    last: int | None = None  # how many the last run brought
    moments: set[tuple[int, int]] = field(default_factory=set)


class Facts:
    def __init__(self) -> None:
        self.days = 0  # by which the platforms' clock has been turned
        self.isins: dict[str, list[str]] = {}
        self._sessions: set[str] = set()
        self._runs: set[str] = set()
        self._kept: dict[tuple[str, str], Kept] = {}

    def new_session(self, session_id: str) -> None:
        assert session_id not in self._sessions, "a session id came twice"
        self._sessions.add(session_id)

    def new_run(self, sync_id: str) -> None:
        assert sync_id not in self._runs, "a sync id came twice"
        self._runs.add(sync_id)

    def of(self, connector: Connector, data_type: str) -> Kept:
        return self._kept.setdefault((str(connector.id), data_type), Kept())

    def fetched(self, connector: Connector, counts: list[Json]) -> None:
        """What a run brought that ended, or waits: every item once, new ones once."""
        for count in counts:
            self._reported(connector, count["dataType"], count["recordsCount"], count["addedCount"])

    def _reported(self, connector: Connector, data_type: str, records: int, added: int) -> None:
        kept, account = self.of(connector, data_type), connector.account
        assert 0 <= added <= records
        kept.added += added
        kept.last = records
        # Platforms' data change with their day, which may turn at a half hour of ours.
        kept.moments.add((self.days, int(time.time() // HALF_HOUR)))
        calls = CALLS[account.platform][data_type]
        part = account.fault is not None and set(calls) & set(account.faulty)
        if part and account.fault != "partial":
            kept.last = None  # what a part lacks stays as it was
        sold = bool(account.sold) and data_type == "portfolio"
        if len(kept.moments) > 1:
            return
        if kept.whole is not None:
            assert records <= kept.whole if part or sold else records == kept.whole
            assert added == 0
        elif not part and not sold:
            kept.whole = records
            assert kept.added == records

    def kept(self, connector: Connector, data_type: str, records: list[Json]) -> None:
        """All records of a data type, against what the runs told."""
        assert len({record["id"] for record in records}) == len(records)
        kept = self.of(connector, data_type)
        assert len(records) == kept.added
        if data_type == "portfolio" and connector.account.platform == "fi_money":
            still = [each["holding"] for each in records if "closedAt" not in each["holding"]]
            if kept.last is not None:
                assert len(still) == kept.last
            isins = {each.get("isin") for each in still} - {None, ""}
            self.isins[str(connector.id)] = sorted(isins)
