"""Rows that were posted before: withdrawn by the bank, or linked again."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec.structs import replace

from server.domains.money.posting.model import Origin
from server.domains.money.posting.rows import BankRow
from server.domains.money.transactions.model import Origin as Source
from server.domains.money.transactions.model import Transaction
from server.domains.money.transactions.work import Work


class EarlierRows:
    """Of one connector, whose transactions have `source` among their origins."""

    def __init__(self, work: Work, source: Source, now: datetime) -> None:
        self._work = work
        self._source = source
        self._now = now

    def withdraw(
        self,
        rows: Iterable[BankRow],
        tokens: Mapping[str, bytes],
        known: Mapping[bytes, Origin],
    ) -> tuple[list[str], list[bytes]]:
        """Take the origin from transactions of rows that the bank reports no more.

        Gives those that are left without any, which rows of this batch may take over, and the tokens.
        """
        vacant, withdrawn = [], []
        for row in rows:
            origin = known.get(tokens[row.record.id])
            if origin is None or not row.record.withdrawn or origin.withdrawn:
                continue
            one = self._work.find(origin.transaction_id)
            if one is None:  # the user has deleted it, and so it stays
                continue
            after = replace(self._touched(one), origins=_without(one, self._source))
            self._work.replace(after)
            withdrawn.append(origin.id)
            if not after.origins:
                vacant.append(one.id)
        return vacant, withdrawn

    def leave(self, one: Transaction) -> None:
        """Nothing has taken it over: it goes, unless a statement has shown it."""
        if one.is_reconciled:
            self._work.replace(replace(one, origins=(Source("manual"),)))
            return
        other = self._work.other(one)
        self._work.bury(one)
        if other is not None:
            self._work.replace(self._touched(other.alone()))

    def link_again(
        self,
        rows: Iterable[BankRow],
        tokens: Mapping[str, bytes],
        known: Mapping[bytes, Origin],
    ) -> int:
        """Rows whose records were erased and are fetched again, of transactions that stayed."""
        count = 0
        for row in rows:
            origin = known.get(tokens[row.record.id])
            if origin is None or row.record.withdrawn or origin.is_free:
                continue
            one = self._work.find(origin.transaction_id)
            if one is not None and self._source not in one.origins:
                self._work.replace(self.linked(one, row))
                count += 1
        return count

    def linked(self, one: Transaction, row: BankRow) -> Transaction:
        """With the user's fields and the bank's origin."""
        status = "posted" if one.status == "pending" and one.kind != "adjustment" else one.status
        return replace(
            self._touched(one),
            status=status,
            origins=(*one.origins, self._source),
            bank_text=row.text or one.bank_text,
        )

    def _touched(self, one: Transaction) -> Transaction:
        return replace(one, rev=self._work.change.rev, updated_at=self._now)


def _without(one: Transaction, source: Source) -> tuple[Source, ...]:
    return tuple(each for each in one.origins if each != source)
