"""Use cases of streams: which account a connector's rows flow into, and what the bank says of it."""

from datetime import date

from msgspec.structs import replace

from server.core.clock import Clock
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.domains.money.accounts.documents import opened, sealed
from server.domains.money.accounts.errors import AccountArchived, AccountNotFound
from server.domains.money.accounts.model import Account
from server.domains.money.accounts.store import AccountStore
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.ledger.changes import MoneyChanges
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.posting.errors import AccountLinked, StreamNotFound
from server.domains.money.posting.model import SOURCE
from server.domains.money.posting.rows import BANK
from server.domains.money.posting.store import StreamStore
from server.domains.money.posting.valued.store import ValueStore
from server.domains.money.sealing.service import MoneyKeys
from server.kernel import RecordFeed


class Streams:
    def __init__(
        self,
        changes: MoneyChanges,
        feed: RecordFeed,
        keys: MoneyKeys,
        accounts: AccountStore,
        streams: StreamStore,
        values: ValueStore,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._feed = feed
        self._keys = keys
        self._accounts = accounts
        self._streams = streams
        self._values = values
        self._clock = clock

    async def attach(
        self,
        owner: MoneyOwner,
        account_id: str,
        connector_id: str,
        name: str,
        reply: KeyedReply | None = None,
    ) -> Account:
        """Let a connector's rows flow into an account that the user keeps; those that came before move there.

        Without effect if they do. Raises AccountNotFound, AccountArchived, AccountLinked, StreamNotFound.
        """

        async def work(change: LedgerChange) -> Account:
            account = await self._account(change, account_id)
            known = await self._streams.of_connector(
                change.owner, connector_id, change.box, change.session
            )
            stream = known.get(name)
            if stream is None:
                raise StreamNotFound
            if stream.account_id == account_id:
                return account
            if account.archived:
                raise AccountArchived
            if account.source != "manual":
                raise AccountLinked
            # A house's report of an account's worth would replace what its user keeps in it.
            if account.currency != stream.state.currency or not name.startswith(BANK):
                raise StreamNotFound
            linked = replace(
                account,
                rev=change.rev,
                source=SOURCE,
                provider=stream.state.platform,
                connector_id=connector_id,
                linked_at=self._clock.now(),
                stream=name,
            )
            await self._replace(change, linked)
            moved = replace(
                stream,
                account_id=account_id,
                moves_from=await self._living(change, stream.account_id),
                # The opening balance is the user's own.
                state=replace(stream.state, settled=True),
            )
            await self._streams.save(change.owner, moved, change.box, change.session)
            await self._feed.ask_again(connector_id, change.session)
            return linked

        event = Event("account.stream_attached", owner.user_id, connector_id=connector_id)
        return await self._changes.make(owner, work, lambda _: event, reply)

    async def detach(
        self, owner: MoneyOwner, account_id: str, reply: KeyedReply | None = None
    ) -> Account:
        """Stop the stream into an account, which its user keeps from then on.

        Raises AccountNotFound, StreamNotFound.
        """

        async def work(change: LedgerChange) -> Account:
            account = await self._account(change, account_id)
            stream = await self._streams.of_account(account_id, change.box, change.session)
            if stream is None:
                raise StreamNotFound
            manual = replace(
                account,
                rev=change.rev,
                source="manual",
                provider=None,
                connector_id=None,
                linked_at=None,
                stream=None,
            )
            await self._replace(change, manual)
            stopped = replace(stream, account_id=None, moves_from=None)
            await self._streams.save(change.owner, stopped, change.box, change.session)
            return manual

        event = Event("account.stream_detached", owner.user_id)
        return await self._changes.make(owner, work, lambda _: event, reply)

    async def reported(self, owner: str, account_id: str) -> tuple[int, date] | None:
        """The newest balance that a bank has reported; None for an account without a stream."""
        box = await self._keys.of(owner)
        stream = await self._streams.of_account(account_id, box)
        return None if stream is None else stream.state.newest

    async def value_on(self, owner: str, account_id: str, day: date) -> int | None:
        """The worth of an account without transactions at the end of a day; None for other accounts."""
        return await self._values.on(account_id, day, await self._keys.of(owner))

    async def _account(self, change: LedgerChange, account_id: str) -> Account:
        found = await self._accounts.of(change.owner, change.session, [account_id])
        if not found:
            raise AccountNotFound
        return opened(found[0], change.box, change.balance(found[0].id))

    async def _living(self, change: LedgerChange, account_id: str | None) -> str | None:
        """The account, unless it was deleted."""
        if account_id is None:
            return None
        found = await self._accounts.of(change.owner, change.session, [account_id])
        return found[0].id if found else None

    async def _replace(self, change: LedgerChange, account: Account) -> None:
        await self._accounts.replace(sealed(account, change.owner, change.box), change.session)
