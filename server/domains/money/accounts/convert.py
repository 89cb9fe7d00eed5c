"""Accounts as the contract's messages and back, where that is more than names."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zlib import crc32

from finlink.exports.v1 import export_service_pb2
from finlink.money.v1 import account_changes_pb2 as changes_pb
from finlink.money.v1 import account_details_pb2, account_pb2, transaction_pb2
from finlink.money.v1 import account_service_pb2 as rpc
from finlink.types.v1.money_pb2 import Money

from server.core import money as amounts
from server.core.model import Changes
from server.core.texts import needed, tidied
from server.domains.money.accounts.model import (
    Account,
    AccountFields,
    Given,
    NewAccount,
    UpdatedAccount,
)
from server.domains.money.accounts.service import DayBalance
from server.rpc.fields import arguments, to_all_changes, to_message, to_model

_NOTHING = Given("0")


def new_account(request: changes_pb.CreateAccountRequest) -> NewAccount:
    return to_model(NewAccount, _tidied(request))


def changes_of(request: changes_pb.UpdateAccountRequest) -> tuple[Changes, Given | None]:
    """The changes of fields, and the new opening balance if there is one."""
    opening = None
    if request.HasField("opening_balance"):
        opening = to_model(Given, request.opening_balance)
    elif "opening_balance" in request.update_mask.paths:
        opening = _NOTHING
    changes = to_all_changes(_tidied(request), (AccountFields, ""), needed=opening is None)
    return changes, opening


def updated(made: UpdatedAccount) -> changes_pb.UpdateAccountResponse:
    message = "Account updated successfully"
    if made.counts_otherwise:
        day = made.account.opening_date
        since = f"from {day} on" if day else "of any date"
        message += f"; its balance now counts transactions {since}"
    shown = to_message(account_pb2.Account, made.account)
    return changes_pb.UpdateAccountResponse(message=message, data=shown)


def details(
    account: Account,
    transactions: Sequence[transaction_pb2.Transaction],
    at: datetime,
    reported: amounts.Money | None = None,
) -> account_details_pb2.AccountDetails:
    balances = {"current": account.balance, "reconciled": account.reconciled}
    # The account's revision does not move with these.
    beside = [each.etag for each in transactions if "-" in each.etag]
    if reported is not None:
        balances["reported"] = reported
        beside.append(reported.value)
    shown = {name: arguments(Money.DESCRIPTOR, each) for name, each in balances.items()}
    return to_message(
        account_details_pb2.AccountDetails,
        account,
        etag=f"{account.etag}-{crc32(repr(beside).encode())}" if beside else account.etag,
        balances={**shown, "currency": account.currency, "as_of": at},
        transactions=transactions,
    )


def day_balance(found: DayBalance) -> rpc.AccountBalance:
    reported = None
    if found.reported is not None:
        amount = Money(**arguments(Money.DESCRIPTOR, found.reported))
        reported = rpc.ReportedBalance(amount=amount, as_of=found.reported_date or found.date)
    return to_message(rpc.AccountBalance, found, reported=reported)


def exported(account: Account) -> export_service_pb2.ExportUserResponse:
    message = to_message(account_pb2.Account, account)
    return export_service_pb2.ExportUserResponse(account=message)


def _tidied(request: Any) -> Any:
    if request.name:
        request.name = needed(request.name, "name")
    for field in ("institution", "mask"):
        if request.HasField(field):
            setattr(request, field, tidied(getattr(request, field)))
    return request
