"""Transactions as the contract's messages."""

from collections.abc import Sequence

from finlink.exports.v1 import export_service_pb2
from finlink.money.v1 import transaction_bulk_pb2 as bulk_pb
from finlink.money.v1 import transaction_lists_pb2 as lists_pb
from finlink.money.v1 import transaction_pb2 as pb
from finlink.types.v1 import money_pb2, pagination_pb2

from server.core import money
from server.domains.money.transactions.batch import Failure
from server.domains.money.transactions.shown import BulkResult, Gone, Shown
from server.domains.money.transactions.views import ListPage


def page(found: ListPage) -> lists_pb.ListTransactionsData:
    return lists_pb.ListTransactionsData(
        transactions=[
            gone(each) if isinstance(each, Gone) else transaction(each) for each in found.items
        ],
        pagination=pagination_pb2.Pagination(next_page_token=found.next_page_token),
        rev=found.rev,
    )


def gone(one: Gone) -> pb.Transaction:
    return pb.Transaction(id=one.id, deleted=True)


def transaction(shown: Shown) -> pb.Transaction:
    t = shown.transaction
    message = pb.Transaction(
        id=t.id,
        account_id=t.account_id,
        kind=t.kind,
        direction=t.direction,
        amount=_money(t.units, shown.currency),
        date=t.day.isoformat(),
        description=t.description,
        payee=t.payee,
        notes=t.notes,
        category_id=t.category_id,
        splits=[
            pb.Split(
                category_id=part.category_id,
                amount=_money(part.units, shown.currency),
                description=part.description,
            )
            for part in t.parts
        ],
        tags=t.tags,
        status=t.status,
        excluded=t.excluded,
        refund_of=t.refund_of,
        transfer=_transfer(shown),
        origins=[pb.TransactionOrigin(source=each.source, id=each.id) for each in t.origins],
        bank_text=t.bank_text,
        external_id=t.external_id,
        etag=shown.etag,
    )
    message.created_at.FromDatetime(t.created_at)
    message.updated_at.FromDatetime(t.updated_at)
    if t.foreign is not None:
        message.foreign_amount.CopyFrom(_money(t.foreign.units, t.foreign.currency))
    if t.occurred_at is not None:
        message.occurred_at.FromDatetime(t.occurred_at)
    if shown.balance_after is not None:
        message.balance_after.CopyFrom(_money(shown.balance_after, shown.currency))
    return message


def exported(shown: Shown) -> export_service_pb2.ExportUserResponse:
    return export_service_pb2.ExportUserResponse(transaction=transaction(shown))


def _transfer(shown: Shown) -> pb.Transfer | None:
    t, other = shown.transaction, shown.other
    if t.transfer_id is None:
        return None
    if other is None or shown.other_currency is None:
        return pb.Transfer(id=t.transfer_id)
    return pb.Transfer(
        id=t.transfer_id,
        counterpart_id=other.id,
        account_id=other.account_id,
        amount=_money(other.units, shown.other_currency),
        date=other.day.isoformat(),
    )


def _money(units: int, currency: str) -> money_pb2.Money:
    return money_pb2.Money(value=money.text(units, currency), currency=currency)


def bulk(result: BulkResult) -> bulk_pb.BulkTransactionsData:
    if result.ids is None:
        shown = [transaction(each) for each in result.transactions]
        return bulk_pb.BulkTransactionsData(transactions=shown)
    found = {each.index: _failed(each) for each in result.failures}
    found |= {
        index: bulk_pb.BulkTransactionResult(index=index, id=each)
        for index, each in result.ids.items()
    }
    return bulk_pb.BulkTransactionsData(results=[found[index] for index in sorted(found)])


def _failed(failure: Failure) -> bulk_pb.BulkTransactionResult:
    error = failure.error
    return bulk_pb.BulkTransactionResult(
        index=failure.index,
        error=bulk_pb.BulkTransactionError(
            code=error.code,
            message=error.message,
            details=[
                bulk_pb.BulkFieldError(field=each.field, message=each.message)
                for each in error.fields
            ],
        ),
    )


def suggestions(
    found: Sequence[tuple[Shown, Shown]],
) -> lists_pb.ListTransferSuggestionsData:
    return lists_pb.ListTransferSuggestionsData(
        suggestions=[
            lists_pb.TransferSuggestion(outflow=transaction(one), inflow=transaction(other))
            for one, other in found
        ]
    )
