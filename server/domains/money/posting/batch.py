"""Posts some rows of a connector: origins, transactions, balances and marks in one transaction."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from server.domains.money.ledger.change import LedgerChange
from server.domains.money.posting.accounts import NewStream, StreamAccounts
from server.domains.money.posting.chains import Chain, chain, newest_balance, proven_signs
from server.domains.money.posting.earlier import EarlierRows
from server.domains.money.posting.memory import PayeeMemory
from server.domains.money.posting.model import SOURCE, Origin
from server.domains.money.posting.payees import payee_of
from server.domains.money.posting.rows import BankRow, bank_row, stream_in
from server.domains.money.posting.store import OriginStore
from server.domains.money.posting.takeovers import LONGEST, takeovers
from server.domains.money.transactions.model import Kind, Transaction
from server.domains.money.transactions.model import Origin as Source
from server.domains.money.transactions.walks.store import TransactionWalks
from server.domains.money.transactions.work import Work
from server.kernel import FedConnector, FedRecord
from server.security.sealed_box import SealedBox
from server.storage.repository import new_id


@dataclass(frozen=True, slots=True)
class Posted:
    """The outcome of a batch."""

    made: Sequence[Transaction]
    taken_over: int
    changed: int  # that were there before: withdrawn, or linked again
    skipped: int  # rows that are no money
    days: Sequence[date]  # of all rows that were new

    @property
    def count(self) -> int:
        return len(self.made) + self.taken_over + self.changed

    @property
    def outcomes(self) -> Mapping[str, int]:
        """As metrics call them."""
        return {
            "posted": len(self.made),
            "taken_over": self.taken_over,
            "changed": self.changed,
            "skipped": self.skipped,
        }


class Batch:
    """The rows of one transaction. Driver errors pass through."""

    def __init__(
        self,
        work: Work,
        connector: FedConnector,
        accounts: StreamAccounts,
        origins: OriginStore,
        walks: TransactionWalks,
        memory: PayeeMemory,
        now: datetime,
    ) -> None:
        self._work = work
        self._change: LedgerChange = work.change
        self._connector = connector
        self._accounts = accounts
        self._origins = origins
        self._walks = walks
        self._memory = memory
        self._now = now
        self._source = Source(SOURCE, connector.id)
        self._earlier = EarlierRows(work, self._source, now)
        self._made: dict[bytes, str] = {}  # transactions by the tokens of their rows
        self._pointed: dict[bytes, str] = {}  # the same of rows that were another one before

    async def post(self, records: Sequence[FedRecord]) -> Posted:
        read = [bank_row(each, self._connector.platform) for each in records]
        rows = [each for each in read if each is not None and each.units]
        tokens = {row.record.id: self._token(row) for row in rows}
        known = await self._origins.find(list(tokens.values()), self._change.session)
        await self._work.load(each.transaction_id for each in known.values())
        vacant, withdrawn = self._earlier.withdraw(rows, tokens, known)
        linked = self._earlier.link_again(rows, tokens, known)
        new = [
            row
            for row in rows
            if not row.record.withdrawn
            and ((origin := known.get(tokens[row.record.id])) is None or origin.is_free)
        ]
        made, taken_over = await self._post_new(new, tokens, vacant, known)
        for each in vacant:
            if (left := self._work.find(each)) is not None and not left.origins:
                self._earlier.leave(left)
        await self._origins.withdraw(withdrawn, self._change.session)
        await self._origins.add(
            self._change.owner, self._connector.id, self._made, self._now, self._change.session
        )
        await self._origins.point(
            {each: (known[each].transaction_id, one) for each, one in self._pointed.items()},
            self._change.session,
        )
        changed = len(withdrawn) + linked
        days = [row.day for row in new]
        return Posted(made, taken_over, changed, len(records) - len(rows), days)

    def _token(self, row: BankRow) -> bytes:
        return origin_token(self._change.box, self._connector.platform, row.stream, row.record.key)

    # New rows

    async def _post_new(
        self,
        rows: Sequence[BankRow],
        tokens: Mapping[str, bytes],
        vacant: Sequence[str],
        known: Mapping[bytes, Origin],
    ) -> tuple[list[Transaction], int]:
        by_stream: defaultdict[str, list[BankRow]] = defaultdict(list)
        for row in rows:
            by_stream[self._stream_of(row, by_stream)].append(row)
        made: list[Transaction] = []
        taken_over = 0
        for name, of_stream in by_stream.items():
            if (found := await self._account(name, of_stream)) is None:
                continue
            account_id, signs = found
            signed = {
                row.record.id: (row.sign or signs.get(row.record.id, 0)) * row.units
                for row in of_stream
            }
            taken = await self._take_over(account_id, of_stream, signed, vacant)
            fresh = [row for row in of_stream if row.record.id not in taken]
            posted = await self._transactions(account_id, fresh, signed)
            self._work.add(posted.values())
            for row in of_stream:
                one = taken.get(row.record.id) or posted[row.record.id]
                token = tokens[row.record.id]
                (self._pointed if token in known else self._made)[token] = one.id
            made += posted.values()
            taken_over += len(taken)
        return made, taken_over

    def _stream_of(self, row: BankRow, seen: Mapping[str, Sequence[BankRow]]) -> str:
        """The first currency of a stream is its own."""
        if (stream := self._accounts.find(row.stream)) is not None:
            own = stream.state.currency
        else:
            own = seen[row.stream][0].currency if row.stream in seen else row.currency
        return stream_in(row.stream, row.currency, own)

    async def _account(
        self, name: str, rows: Sequence[BankRow]
    ) -> tuple[str, Mapping[str, int]] | None:
        """The account that a stream flows into, and the signs that the rows' balances prove.

        None of a stream that is stopped. The newest balance is kept with the stream.
        """
        stream = self._accounts.find(name)
        if stream is not None and self._accounts.account_of(name) is None:
            return None
        start = None
        if stream is not None and stream.state.chained is not None:
            start = int(stream.state.chained)
        found: Chain | None = None if start is None else chain(rows, start)
        newest = None
        # Of a stream that is no chain, as of two accounts at one bank, a few rows may look like one.
        if found is None and (stream is None or start is not None):
            found = chain(rows)
            newest = newest_balance(rows) if found is None else None
        if stream is None:
            first, opening = rows[0], None if found is None else found.first
            stream = await self._accounts.make(
                NewStream(name, first.institution, first.currency, "bank", opening)
            )
        newest = newest if found is None else found.last
        if newest is not None:
            await self._accounts.chain(stream, newest, max(row.day for row in rows))
        account_id = self._accounts.account_of(name)
        signs = {**proven_signs(rows, start), **(found.signs if found else {})}
        return None if account_id is None else (account_id, signs)

    async def _take_over(
        self,
        account_id: str,
        rows: Sequence[BankRow],
        signed: Mapping[str, int],
        vacant: Collection[str],
    ) -> dict[str, Transaction]:
        """The transactions that were there before and are these rows, after the change."""
        change = self._change
        days = [row.day for row in rows]
        known = await self._walks.between(
            change.owner, min(days) - LONGEST, max(days) + LONGEST, change.box, change.resolved,
            change.session, [account_id],
        )  # fmt: skip
        self._work.adopt(known)
        current = [one for each in known if (one := self._work.find(each.id)) is not None]
        ids = {each.id for each in current}
        current += [
            one
            for each in vacant
            if each not in ids
            and (one := self._work.find(each)) is not None
            and one.account_id == account_id
        ]
        coming = [
            (row.record.id, signed[row.record.id], row.day) for row in rows if signed[row.record.id]
        ]
        by_id = {row.record.id: row for row in rows}
        found = {}
        for key, one in takeovers(coming, current, SOURCE).items():
            found[key] = self._earlier.linked(one, by_id[key])
            self._work.replace(found[key])
        return found

    async def _transactions(
        self, account_id: str, rows: Sequence[BankRow], signed: Mapping[str, int]
    ) -> dict[str, Transaction]:
        named = {row.record.id: payee_of(row.text) for row in rows}
        kinds = {row.record.id: _kind(signed[row.record.id]) for row in rows}
        categories = await self._memory.categories(
            self._change,
            [(kinds[each], payee) for each, payee in named.items() if payee is not None],
        )
        found = {}
        for row in rows:
            key, payee = row.record.id, named[row.record.id]
            found[key] = Transaction(
                id=new_id(),
                owner=self._change.owner,
                rev=self._change.rev,
                account_id=account_id,
                kind=kinds[key],
                direction="in" if signed[key] > 0 else "out",
                units=row.units,
                day=row.day,
                # To be confirmed, if nothing proves where the money went.
                status="posted" if signed[key] else "pending",
                category_id=categories.get((kinds[key], payee)) if payee else None,
                payee=payee,
                origins=(self._source,),
                bank_text=row.text or None,
                created_at=self._now,
                updated_at=self._now,
            )
        return found


def origin_token(box: SealedBox, platform: str, stream: str, key: str) -> bytes:
    """The same for the same row, whatever becomes of connector, records and account."""
    return box.token("origin", platform, stream, key)


def _kind(signed: int) -> Kind:
    return "income" if signed > 0 else "expense" if signed < 0 else "adjustment"
