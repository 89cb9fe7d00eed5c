"""The RPCs of finlink.money.v1.TransactionService: convert in, call the service, convert out."""

from dataclasses import dataclass
from functools import partial

from finlink.money.v1 import reconciliation_pb2, transaction_service_pb2_grpc
from finlink.money.v1 import transaction_bulk_pb2 as bulk_pb
from finlink.money.v1 import transaction_changes_pb2 as changes_pb
from finlink.money.v1 import transaction_lists_pb2 as lists_pb
from finlink.money.v1 import transaction_pb2 as pb

from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.transactions import convert
from server.domains.money.transactions.deletion import TransactionDeletion
from server.domains.money.transactions.incoming import convert as incoming
from server.domains.money.transactions.matching import TransferMatching
from server.domains.money.transactions.reconciling import Reconciling
from server.domains.money.transactions.service import ERROR, TransactionService
from server.domains.money.transactions.views import TransactionViews
from server.rpc.call import Context, current_user, replied
from server.rpc.replies import changed


@dataclass(frozen=True)
class TransactionServicer(transaction_service_pb2_grpc.TransactionServiceServicer):
    _service: TransactionService
    _deletion: TransactionDeletion
    _matching: TransferMatching
    _views: TransactionViews
    _reconciling: Reconciling

    async def ListTransactions(
        self, request: lists_pb.ListTransactionsRequest, context: Context
    ) -> lists_pb.ListTransactionsResponse:
        if request.HasField("changed_since"):
            wanted = incoming.changes_request(request)
            page = await self._views.changed_since(_owner(), request.changed_since, wanted)
        else:
            page = await self._views.page(_owner(), incoming.list_request(request))
        return lists_pb.ListTransactionsResponse(data=convert.page(page))

    async def ListAccountTransactions(
        self, request: lists_pb.ListAccountTransactionsRequest, context: Context
    ) -> lists_pb.ListAccountTransactionsResponse:
        account_id = request.account_id.lower()
        wanted = incoming.list_request(request, account_id)
        page = await self._views.list_of_account(_owner(), account_id, wanted)
        return lists_pb.ListAccountTransactionsResponse(data=convert.page(page))

    async def ReconcileAccount(
        self, request: reconciliation_pb2.ReconcileAccountRequest, context: Context
    ) -> reconciliation_pb2.ReconcileAccountResponse:
        statement = incoming.statement(request)
        change = partial(self._reconciling.reconcile, _owner(), statement)
        return await changed(
            reconciliation_pb2.ReconcileAccountResponse,
            "Account reconciled successfully",
            change,
        )

    async def GetTransaction(
        self, request: changes_pb.GetTransactionRequest, context: Context
    ) -> changes_pb.GetTransactionResponse:
        found = await self._views.get(_owner(), request.id.lower())
        return changes_pb.GetTransactionResponse(data=convert.transaction(found))

    async def CreateTransaction(
        self, request: pb.CreateTransactionRequest, context: Context
    ) -> pb.CreateTransactionResponse:
        change = partial(self._service.create, _owner(), incoming.new_transaction(request))
        return await replied(
            change,
            lambda made: pb.CreateTransactionResponse(
                message="Transaction created successfully", data=convert.transaction(made)
            ),
        )

    async def UpdateTransaction(
        self, request: changes_pb.UpdateTransactionRequest, context: Context
    ) -> changes_pb.UpdateTransactionResponse:
        change = partial(self._service.update, _owner(), incoming.update_of_one(request))
        return await replied(
            change,
            lambda made: changes_pb.UpdateTransactionResponse(
                message="Transaction updated successfully", data=convert.transaction(made)
            ),
        )

    async def DeleteTransaction(
        self, request: changes_pb.DeleteTransactionRequest, context: Context
    ) -> changes_pb.DeleteTransactionResponse:
        owner, etag = _owner(), request.etag if request.HasField("etag") else None
        return await replied(
            lambda reply: self._deletion.delete(
                owner,
                [request.id.lower()],
                unlock=request.unlock,
                forget=request.forget,
                etag=etag,
                reply=reply,
            ),
            lambda _: changes_pb.DeleteTransactionResponse(
                message="Transaction deleted successfully"
            ),
        )

    async def BulkCreateTransactions(
        self, request: bulk_pb.BulkCreateTransactionsRequest, context: Context
    ) -> bulk_pb.BulkCreateTransactionsResponse:
        owner, new = _owner(), incoming.new_transactions(request)
        return await replied(
            lambda reply: self._service.create_many(
                owner,
                new,
                atomic=request.atomic or not request.HasField("atomic"),
                on_duplicate=request.on_duplicate or ERROR,
                reply=reply,
            ),
            lambda made: bulk_pb.BulkCreateTransactionsResponse(
                message="Transactions created successfully", data=convert.bulk(made)
            ),
        )

    async def BulkUpdateTransactions(
        self, request: bulk_pb.BulkUpdateTransactionsRequest, context: Context
    ) -> bulk_pb.BulkUpdateTransactionsResponse:
        owner, (place, updates) = _owner(), incoming.updates(request)
        return await replied(
            lambda reply: self._service.update_many(owner, updates, place, reply),
            lambda made: bulk_pb.BulkUpdateTransactionsResponse(
                message="Transactions updated successfully", data=convert.bulk(made)
            ),
        )

    async def BulkDeleteTransactions(
        self, request: bulk_pb.BulkDeleteTransactionsRequest, context: Context
    ) -> bulk_pb.BulkDeleteTransactionsResponse:
        owner, ids = _owner(), [each.lower() for each in request.ids]
        return await replied(
            lambda reply: self._deletion.delete(
                owner, ids, unlock=request.unlock, forget=request.forget, place="ids", reply=reply
            ),
            lambda _: bulk_pb.BulkDeleteTransactionsResponse(
                message="Transactions deleted successfully"
            ),
        )

    async def RestoreTransaction(
        self, request: changes_pb.RestoreTransactionRequest, context: Context
    ) -> changes_pb.RestoreTransactionResponse:
        change = partial(self._deletion.restore, _owner(), request.id.lower())
        return await replied(
            change,
            lambda made: changes_pb.RestoreTransactionResponse(
                message="Transaction restored successfully", data=convert.transaction(made)
            ),
        )

    async def MatchTransaction(
        self, request: changes_pb.MatchTransactionRequest, context: Context
    ) -> changes_pb.MatchTransactionResponse:
        owner, pair = _owner(), (request.id.lower(), request.counterpart_id.lower())
        return await replied(
            lambda reply: self._matching.match(owner, *pair, unlock=request.unlock, reply=reply),
            lambda made: changes_pb.MatchTransactionResponse(
                message="Transactions matched successfully", data=convert.transaction(made)
            ),
        )

    async def UnmatchTransaction(
        self, request: changes_pb.UnmatchTransactionRequest, context: Context
    ) -> changes_pb.UnmatchTransactionResponse:
        change = partial(self._matching.unmatch, _owner(), request.id.lower())
        return await replied(
            change,
            lambda made: changes_pb.UnmatchTransactionResponse(
                message="Transactions unmatched successfully", data=convert.transaction(made)
            ),
        )

    async def ListTransferSuggestions(
        self, request: lists_pb.ListTransferSuggestionsRequest, context: Context
    ) -> lists_pb.ListTransferSuggestionsResponse:
        found = await self._matching.suggestions(_owner())
        return lists_pb.ListTransferSuggestionsResponse(data=convert.suggestions(found))


def _owner() -> MoneyOwner:
    user = current_user()
    return MoneyOwner(user.user, user.user_id)
