"""Reports of houses about accounts: balances of banks, and the worth of what has no transactions."""

from collections.abc import Sequence
from datetime import date

from msgspec.structs import replace

from server.domains.money.ledger.change import LedgerChange
from server.domains.money.ledger.month import stored_number
from server.domains.money.posting.accounts import NewStream, StreamAccounts
from server.domains.money.posting.model import Stream
from server.domains.money.posting.rows import BANK, Value, values_of
from server.domains.money.posting.valued.store import ValueStore
from server.kernel import FedConnector, FedRecord


class Valuation:
    """Driver errors pass through."""

    def __init__(self, values: ValueStore) -> None:
        self._values = values

    async def apply(
        self,
        change: LedgerChange,
        accounts: StreamAccounts,
        connector: FedConnector,
        holdings: Sequence[FedRecord],
        today: date,
    ) -> int:
        """Give accounts what the holdings say, and make those that are missing; gives how many changed."""
        found = values_of(holdings, connector.platform)
        changed = 0
        for name, value in found.items():
            if value.type == "bank":
                changed += await self._report(accounts, name, value, today)
            else:
                changed += await self._value(change, accounts, name, value.units, today, value)
        for stream in accounts.all:
            name = stream.state.name
            if name not in found and not name.startswith(BANK):
                changed += await self._value(change, accounts, name, 0, today)
        return changed

    async def _report(self, accounts: StreamAccounts, name: str, value: Value, today: date) -> int:
        """Only of accounts that there are: one is made when its first row comes."""
        stream = accounts.find(name)
        if stream is None or stream.state.currency != value.currency:
            return 0
        day = (value.as_of or today).isoformat()
        reported = stored_number(value.units)
        state = replace(stream.state, reported=reported, reported_on=day)
        if state == stream.state:
            return 0
        await accounts.save(replace(stream, state=state))
        accounts.touch(name)
        return 1

    async def _value(
        self,
        change: LedgerChange,
        accounts: StreamAccounts,
        name: str,
        units: int,
        today: date,
        made_of: Value | None = None,
    ) -> int:
        stream = accounts.find(name)
        if stream is None and made_of is not None:
            new = NewStream(name, made_of.institution, made_of.currency, made_of.type, units)
            stream = await accounts.make(new)
        account_id = accounts.account_of(name)
        if stream is None or account_id is None:
            return 0
        reported = stored_number(units)
        is_known = stream.state.reported == reported
        if is_known and stream.state.reported_on is not None:
            return 0
        state = replace(stream.state, reported=reported, reported_on=today.isoformat())
        await accounts.save(replace(stream, state=state))
        await accounts.set_opening(account_id, units)
        await self._values.keep(change.owner, account_id, today, units, change.box, change.session)
        return 1


def unsettled(streams: Sequence[Stream]) -> list[Stream]:
    """Bank accounts whose opening balance waits for what the bank reports."""
    return [each for each in streams if not each.state.settled and each.state.name.startswith(BANK)]


async def settle(accounts: StreamAccounts) -> int:
    """Once for each account: what is reported, less all that is posted, was there at the beginning."""
    return sum([await accounts.settle(each) for each in unsettled(accounts.all)])
