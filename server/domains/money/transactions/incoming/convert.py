"""Requests about transactions, as models."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Any, TypeVar

from finlink.money.v1 import reconciliation_pb2
from finlink.money.v1 import transaction_bulk_pb2 as bulk_pb
from finlink.money.v1 import transaction_changes_pb2 as changes_pb
from finlink.money.v1 import transaction_lists_pb2 as lists_pb
from finlink.money.v1 import transaction_pb2 as pb
from finlink.types.v1 import money_pb2

from server.core.errors import FieldError, InvalidRequest
from server.core.texts import needed, tidied
from server.domains.money.transactions.filters import SealedFilter, sealed_filter
from server.domains.money.transactions.model import (
    Amount,
    NewPart,
    NewTransaction,
    TransactionChanges,
    Update,
    Wanted,
)
from server.domains.money.transactions.reconciling import Statement
from server.domains.money.transactions.views import ListRequest
from server.rpc.formats import parse_date_or_time
from server.rpc.json_values import camel

T = TypeVar("T")
_USUAL_LIMIT = 50
_LEAST_TEXT = 2  # to look for, without the spaces around it
_TEXTS = ("description", "payee", "notes")
# Fields of requests that go over as they are; what was not sent is left out.
_SAME = ("kind", "direction", "status", "excluded")
_IDS = ("account_id", "category_id", "refund_of")
# Of an update: by the field's name in a mask, the value that it has when it is removed.
_REMOVED: dict[str, tuple[str, Any]] = {
    **{
        name: (name, None)
        for name in (*_TEXTS, "category_id", "refund_of", "external_id", "occurred_at")
    },
    "foreign_amount": ("foreign", None),
    "splits": ("parts", ()),
    "tags": ("tags", ()),
    "excluded": ("excluded", False),
}
NO_CATEGORY = "none"
_OF_ONE = ("id", "etag", "external_id")


def new_transaction(request: pb.CreateTransactionRequest) -> NewTransaction:
    values = _given(request)
    if request.HasField("to_account_id"):
        values["to_account_id"] = request.to_account_id.lower()
    if request.HasField("to_amount"):
        values["to_amount"] = _amount(request.to_amount)
    if request.HasField("to_date"):
        values["to_day"] = date.fromisoformat(request.to_date)
    return NewTransaction(**values)


def new_transactions(
    request: bulk_pb.BulkCreateTransactionsRequest,
) -> Sequence[NewTransaction]:
    """Raises InvalidRequest naming the places of what is wrong."""
    return [
        _at(f"transactions[{index}].", new_transaction, each)
        for index, each in enumerate(request.transactions)
    ]


def update(request: changes_pb.UpdateTransactionRequest) -> Update:
    """Raises InvalidRequest where nothing is sent, or a mask names what cannot be removed."""
    values = _removed(request.update_mask.paths) | _given(request)
    if not values:
        raise InvalidRequest(
            "Nothing to update: send at least one field, or name one in updateMask"
        )
    return Update(
        id=request.id.lower(),
        changes=TransactionChanges(**values),
        unlock=request.unlock,
        etag=request.etag if request.HasField("etag") else None,
    )


def _removed(paths: Iterable[str]) -> dict[str, Any]:
    """The values that a mask leaves of its fields. Raises InvalidRequest for one that cannot be removed."""
    values = {}
    for path in paths:
        if path not in _REMOVED:
            raise InvalidRequest.of("updateMask", f"names {camel(path)}, which cannot be removed")
        name, value = _REMOVED[path]
        values[name] = value
    return values


def update_of_one(request: changes_pb.UpdateTransactionRequest) -> Update:
    """The same, which must say of which transaction: over gRPC it may have been left out."""
    if not request.id:
        raise InvalidRequest.of("id", "must be 24 hexadecimal digits")
    return update(request)


def updates(request: bulk_pb.BulkUpdateTransactionsRequest) -> tuple[str, Sequence[Update]]:
    """Where the request has the changes, and what they are."""
    if request.updates:
        if request.ids or request.HasField("set") or request.set_mask.paths:
            raise InvalidRequest.of("updates", "must be left out, or ids and set must")
        found = [
            _at(f"updates[{index}].", update, each) for index, each in enumerate(request.updates)
        ]
        for index, each in enumerate(found):
            if not each.id:
                raise InvalidRequest.of(f"updates[{index}].id", "is required")
        if len({each.id for each in found}) < len(found):
            raise InvalidRequest.of("updates", "must not have the same id twice")
        return "updates", found
    if not request.ids:
        raise InvalidRequest.of("ids", "is required, or updates is")
    if not request.HasField("set") and not request.set_mask.paths:
        raise InvalidRequest.of("set", "is required with ids, or updateMask is")
    _removed(request.set_mask.paths)  # named as the request has it
    for field, _ in request.set.ListFields():
        if field.name in _OF_ONE:
            problem = "must be left out: it is of one transaction"
            raise InvalidRequest.of(f"set.{field.json_name}", problem)
    request.set.update_mask.paths.extend(request.set_mask.paths)
    changes = _at("set.", update, request.set)
    same = [
        Update(id=each.lower(), changes=changes.changes, unlock=changes.unlock)
        for each in request.ids
    ]
    return "ids", same


def statement(request: reconciliation_pb2.ReconcileAccountRequest) -> Statement:
    return Statement(
        request.account_id.lower(),
        date.fromisoformat(request.statement_date),
        _amount(request.statement_balance),
        request.adjust,
    )


def _given(request: Any) -> dict[str, Any]:
    """The fields of a transaction that a request sends, by the names of the model."""
    names = request.DESCRIPTOR.fields_by_name
    values: dict[str, Any] = {
        name: getattr(request, name)
        for name in _SAME
        if not names[name].has_presence or request.HasField(name)
    }
    for name in _IDS:
        if not names[name].has_presence or request.HasField(name):
            values[name] = getattr(request, name).lower()
    for name in _TEXTS:
        if request.HasField(name):
            values[name] = tidied(getattr(request, name)) or None
    if request.HasField("external_id"):
        values["external_id"] = needed(request.external_id, "externalId")
    if request.HasField("amount"):
        values["amount"] = _amount(request.amount)
    if request.HasField("foreign_amount"):
        values["foreign"] = _amount(request.foreign_amount)
    if request.HasField("date"):
        values["day"] = date.fromisoformat(request.date)
    if request.HasField("occurred_at"):
        values["occurred_at"] = _moment(request.occurred_at)
    if request.splits:
        values["parts"] = tuple(map(_part, request.splits))
    if request.tags:
        values["tags"] = _tags(request.tags)
    return values


def _at(place: str, convert: Callable[[Any], T], request: Any) -> T:
    """Convert a part of a request; what is wrong with it is named by its place."""
    try:
        return convert(request)
    except InvalidRequest as error:
        named = [FieldError(f"{place}{each.field}", each.message) for each in error.fields]
        raise InvalidRequest(
            fields=named or [FieldError(place.rstrip("."), error.message)]
        ) from None


def _moment(text: str) -> datetime:
    """Raises InvalidRequest for a day without a time."""
    found = parse_date_or_time(text)
    if not isinstance(found, datetime):
        raise InvalidRequest.of("occurredAt", "must be an RFC 3339 time, as 2026-11-03T10:30:00Z")
    return found


def _amount(sent: money_pb2.Money) -> Amount:
    return Amount(sent.value, sent.currency if sent.HasField("currency") else None)


def _part(sent: pb.Split) -> NewPart:
    return NewPart(
        _amount(sent.amount),
        sent.category_id.lower() or None,
        tidied(sent.description) or None,
    )


def _tags(sent: Iterable[str]) -> tuple[str, ...]:
    """Raises InvalidRequest for an empty one, and for one that is there in another case."""
    found: dict[str, str] = {}
    for index, text in enumerate(sent):
        tag = needed(text, f"tags[{index}]")
        if found.setdefault(tag.casefold(), tag) != tag or len(found) <= index:
            raise InvalidRequest.of("tags", "must not have the same tag twice")
    return tuple(found.values())


def list_request(request: Any, account_id: str | None = None) -> ListRequest:
    """Of a list of all accounts, or of one."""
    sealed = _sealed(request)
    account_ids = [account_id] if account_id else [each.lower() for each in request.account_id]
    categories = [None if each == NO_CATEGORY else each.lower() for each in request.category_id]
    wanted = Wanted(
        account_ids=account_ids,
        category_ids=categories,
        kinds=list(request.kind),
        statuses=list(request.status),
        since=date.fromisoformat(request.from_date) if request.HasField("from_date") else None,
        until=date.fromisoformat(request.to_date) if request.HasField("to_date") else None,
        tag=needed(request.tag, "tag") if request.HasField("tag") else None,
        oldest_first=request.HasField("sort"),
    )
    if wanted.since and wanted.until and wanted.since > wanted.until:
        raise InvalidRequest.of("from", "must not be after to")
    filters = (
        sorted(account_ids), sorted(map(str, categories)), sorted(wanted.kinds), sorted(wanted.statuses),
        request.from_date, request.to_date, request.tag, request.q, request.min_amount, request.max_amount,
        request.sort,
    )  # fmt: skip
    return ListRequest(
        wanted,
        sealed,
        filters,
        request.limit if request.HasField("limit") else _USUAL_LIMIT,
        request.page_token if request.HasField("page_token") else None,
    )


def changes_request(request: lists_pb.ListTransactionsRequest) -> ListRequest:
    """Of a list of changes, which goes with no filter."""
    allowed = {"limit", "page_token", "changed_since"}
    for field, _ in request.ListFields():
        if field.name not in allowed:
            raise InvalidRequest.of(field.json_name, "must be left out with changedSince")
    return ListRequest(
        filters=("changed", request.changed_since),
        limit=request.limit if request.HasField("limit") else _USUAL_LIMIT,
        page_token=request.page_token if request.HasField("page_token") else None,
    )


def _sealed(request: Any) -> SealedFilter:
    q = needed(request.q, "q") if request.HasField("q") else None
    if q is not None and len(q) < _LEAST_TEXT:
        raise InvalidRequest.of("q", f"must have at least {_LEAST_TEXT} characters")
    found = sealed_filter(
        q,
        request.min_amount if request.HasField("min_amount") else None,
        request.max_amount if request.HasField("max_amount") else None,
    )
    if found.least is not None and found.most is not None and found.least > found.most:
        raise InvalidRequest.of("minAmount", "must not be more than maxAmount")
    return found
