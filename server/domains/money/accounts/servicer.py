"""The RPCs of finlink.money.v1.AccountService: convert in, call the service, convert out."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from functools import partial
from typing import TypeAlias

from finlink.money.v1 import account_changes_pb2 as changes_pb
from finlink.money.v1 import account_pb2, account_service_pb2_grpc, transaction_pb2
from finlink.money.v1 import account_service_pb2 as rpc
from finlink.money.v1 import account_streams_pb2 as streams_pb

from server.core.clock import Clock
from server.domains.money.accounts import convert
from server.domains.money.accounts.model import AccountFilter
from server.domains.money.accounts.service import AccountService, AccountStreams
from server.domains.money.ledger.model import MoneyOwner
from server.rpc.call import Context, current_user, replied
from server.rpc.fields import to_message
from server.rpc.replies import changed

# The newest transactions of an account of a user.
Newest: TypeAlias = Callable[[MoneyOwner, str], Awaitable[Sequence[transaction_pb2.Transaction]]]


class AccountServicer(account_service_pb2_grpc.AccountServiceServicer):
    def __init__(
        self, service: AccountService, newest: Newest, streams: AccountStreams, clock: Clock
    ) -> None:
        self._service = service
        self._newest = newest
        self._streams = streams
        self._clock = clock

    async def ListAccounts(
        self, request: rpc.ListAccountsRequest, context: Context
    ) -> rpc.ListAccountsResponse:
        where = AccountFilter(
            request.type if request.HasField("type") else None,
            request.source if request.HasField("source") else None,
            request.archived,
        )
        found = await self._service.list(_owner(), where)
        shown = [to_message(account_pb2.Account, each) for each in found]
        return rpc.ListAccountsResponse(data=rpc.ListAccountsData(accounts=shown))

    async def CreateAccount(
        self, request: changes_pb.CreateAccountRequest, context: Context
    ) -> changes_pb.CreateAccountResponse:
        change = partial(self._service.create, _owner(), convert.new_account(request))
        return await changed(
            changes_pb.CreateAccountResponse, "Account created successfully", change
        )

    async def GetAccount(
        self, request: rpc.GetAccountRequest, context: Context
    ) -> rpc.GetAccountResponse:
        owner = _owner()
        account = await self._service.get(owner, request.account_id)
        newest = await self._newest(owner, account.id)
        reported = await self._service.reported(owner, account)
        found = convert.details(account, newest, self._clock.now(), reported)
        return rpc.GetAccountResponse(data=found)

    async def UpdateAccount(
        self, request: changes_pb.UpdateAccountRequest, context: Context
    ) -> changes_pb.UpdateAccountResponse:
        changes, opening = convert.changes_of(request)
        etag = request.etag if request.HasField("etag") else None
        change = partial(self._service.update, _owner(), request.account_id, changes, opening, etag)
        return await replied(change, convert.updated)

    async def DeleteAccount(
        self, request: changes_pb.DeleteAccountRequest, context: Context
    ) -> changes_pb.DeleteAccountResponse:
        etag = request.etag if request.HasField("etag") else None
        change = partial(
            self._service.delete,
            _owner(),
            request.account_id,
            request.with_transactions,
            etag,
        )
        return await changed(
            changes_pb.DeleteAccountResponse, "Account deleted successfully", change
        )

    async def AttachStream(
        self, request: streams_pb.AttachStreamRequest, context: Context
    ) -> streams_pb.AttachStreamResponse:
        change = partial(
            self._streams.attach,
            _owner(),
            request.account_id.lower(),
            request.connector_id.lower(),
            request.stream,
        )
        return await changed(
            streams_pb.AttachStreamResponse, "Stream attached successfully", change
        )

    async def DetachStream(
        self, request: streams_pb.DetachStreamRequest, context: Context
    ) -> streams_pb.DetachStreamResponse:
        change = partial(self._streams.detach, _owner(), request.account_id.lower())
        return await changed(
            streams_pb.DetachStreamResponse, "Stream detached successfully", change
        )

    async def GetAccountBalance(
        self, request: rpc.GetAccountBalanceRequest, context: Context
    ) -> rpc.GetAccountBalanceResponse:
        day = date.fromisoformat(request.date) if request.HasField("date") else None
        found = await self._service.balance(_owner(), request.account_id, day)
        return rpc.GetAccountBalanceResponse(data=convert.day_balance(found))


def _owner() -> MoneyOwner:
    user = current_user()
    return MoneyOwner(user.user, user.user_id)
