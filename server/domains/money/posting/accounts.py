"""The accounts that streams flow into: found, made, and given what a bank says of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from finlink_words import AccountType
from msgspec.structs import replace

from server.domains.money.accounts.documents import opened, planned, sealed
from server.domains.money.accounts.model import Account
from server.domains.money.accounts.store import AccountStore
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.ledger.month import stored_number
from server.domains.money.posting.model import SOURCE, Stream, StreamState
from server.domains.money.posting.store import StreamStore, stream_token
from server.kernel import FedConnector
from server.storage.repository import new_id

_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class NewStream:
    name: str
    institution: str
    currency: str
    type: AccountType
    opening: int | None = None  # None: not known yet


class StreamAccounts:
    """The streams of one connector within one change. Driver errors pass through."""

    def __init__(
        self,
        change: LedgerChange,
        connector: FedConnector,
        streams: StreamStore,
        accounts: AccountStore,
        now: datetime,
    ) -> None:
        self._change = change
        self._connector = connector
        self._streams = streams
        self._accounts = accounts
        self._now = now
        self._known: dict[str, Stream] = {}
        self._living: set[str] = set()

    async def load(self) -> None:
        change = self._change
        self._known = await self._streams.of_connector(
            change.owner, self._connector.id, change.box, change.session
        )
        ids = [each.account_id for each in self._known.values() if each.account_id is not None]
        if ids:
            found = await self._accounts.of(change.owner, change.session, ids)
            self._living = {each.id for each in found}

    @property
    def all(self) -> Sequence[Stream]:
        return list(self._known.values())

    def find(self, name: str) -> Stream | None:
        return self._known.get(name)

    def account_of(self, name: str) -> str | None:
        """None where the stream is stopped: by its user, or because its account was deleted."""
        stream = self._known.get(name)
        if stream is None or stream.account_id not in self._living:
            return None
        return stream.account_id

    async def make(self, new: NewStream) -> Stream:
        """A stream of which nothing was seen before, with an account."""
        change = self._change
        opening = new.opening or 0
        account = Account(
            id=new_id(),
            rev=change.rev,
            name=await self._free_name(new),
            type=new.type,
            currency=new.currency,
            opening=opening,
            institution=new.institution[:_LONGEST_NAME],
            source=SOURCE,
            provider=self._connector.platform,
            connector_id=self._connector.id,
            linked_at=self._now,
            stream=new.name,
        )
        account = replace(account, on_budget=planned(account))
        await self._accounts.insert(sealed(account, change.owner, change.box), change.session)
        change.open_account(account.id, opening, None)
        self._living.add(account.id)
        state = StreamState(
            new.name,
            new.institution,
            new.currency,
            self._connector.platform,
            settled=new.opening is not None,
        )
        return await self.save(
            Stream(
                id=stream_token(change.box, self._connector.id, new.name),
                connector_id=self._connector.id,
                account_id=account.id,
                state=state,
            )
        )

    async def save(self, stream: Stream) -> Stream:
        change = self._change
        await self._streams.save(change.owner, stream, change.box, change.session)
        self._known[stream.state.name] = stream
        return stream

    async def chain(self, stream: Stream, balance: int, day: date) -> None:
        """The balance after rows up to a day, if none of a later day is known."""
        state, on = stream.state, day.isoformat()
        if state.chained_on is None or state.chained_on <= on:
            state = replace(state, chained=stored_number(balance), chained_on=on)
            await self.save(replace(stream, state=state))

    def touch(self, name: str) -> None:
        """The bank reports something else of the account that a stream flows into."""
        if (account_id := self.account_of(name)) is not None:
            self._change.touch_account(account_id)

    async def set_opening(self, account_id: str, units: int) -> None:
        """Without effect if the account has it."""
        change = self._change
        (stored,) = await self._accounts.of(change.owner, change.session, [account_id])
        account = opened(stored, change.box, change.balance(account_id))
        if account.opening == units:
            return
        after = replace(account, opening=units, rev=change.rev)
        await self._accounts.replace(sealed(after, change.owner, change.box), change.session)
        change.set_opening(account_id, units, after.opening_date)

    async def settle(self, stream: Stream) -> bool:
        """Make the balance what is reported, unless the user has said what the account began with.

        False if nothing is reported yet, or no balance after the newest rows.
        """
        account_id, newest = self.account_of(stream.state.name), stream.state.newest
        if account_id is None or newest is None:
            return False
        change, (reported, day) = self._change, newest
        last_day = change.balance(account_id).last_day
        if stream.state.reported is None and last_day is not None and day < last_day:
            return False
        (stored,) = await self._accounts.of(change.owner, change.session, [account_id])
        account = opened(stored, change.box, change.balance(account_id))
        if not account.opening and account.opening_date is None:
            await self.set_opening(account_id, reported - account.sums.balance)
        await self.save(replace(stream, state=replace(stream.state, settled=True)))
        return True

    async def remove_empty(self, account_id: str) -> None:
        """Without effect on an account that has transactions, or was not made for a connector."""
        change = self._change
        for stored in await self._accounts.of(change.owner, change.session, [account_id]):
            if stored.source == SOURCE and not change.balance(account_id).count:
                await self._accounts.remove(account_id, change.session)
                change.remove_account(account_id, is_empty=True)

    async def _free_name(self, new: NewStream) -> str:
        """The house's name; with the type, the currency or a number if the user has such an account."""
        change = self._change
        stored = await self._accounts.of(change.owner, change.session)
        taken = {
            opened(each, change.box, change.balance(each.id)).name.casefold() for each in stored
        }
        house = new.institution[: _LONGEST_NAME - 20].strip() or self._connector.platform
        word = new.type.replace("_", " ")
        names = [house, f"{house} {word}", f"{house} {word} {new.currency}"]
        number = 2
        while True:
            for each in names:
                if each.casefold() not in taken:
                    return each
            names = [f"{house} {word} {number}"]
            number += 1
