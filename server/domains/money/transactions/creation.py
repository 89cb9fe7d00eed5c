"""New transactions of what a caller sent: pure, once the facts are known."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from server.core import money
from server.core.errors import InvalidRequest
from server.domains.money.transactions.facts import (
    AccountFacts,
    Facts,
    foreign_amount,
    positive_units,
)
from server.domains.money.transactions.kinds import direction_of
from server.domains.money.transactions.model import (
    TRANSFER,
    NewTransaction,
    Origin,
    Transaction,
)
from server.domains.money.transactions.splits import parts_of

MANUAL = (Origin("manual"),)


@dataclass(frozen=True, slots=True)
class Making:
    """Who makes transactions, when, and of what revision they are."""

    owner: str
    rev: int
    now: datetime
    today: date  # for the user
    new_id: Callable[[], str]


def created(new: NewTransaction, facts: Facts, making: Making) -> list[Transaction]:
    """The transaction; of a transfer to an own account both legs, that of `account_id` first.

    Raises InvalidRequest, AccountNotFound, AccountArchived, CategoryNotFound.
    """
    account = facts.open_account(new.account_id)
    _check_fields(new)
    paired = new.to_account_id is not None
    direction = direction_of(new.kind, new.direction, "out" if new.kind == TRANSFER else None)
    if paired and direction != "out":
        raise InvalidRequest.of("direction", "must be out, or left out, with toAccountId")
    if new.category_id is not None and new.parts:
        raise InvalidRequest.of("splits", "must be left out, or categoryId must")
    units = positive_units(new.amount, account.currency, "amount")
    facts.check_category(new.category_id, new.kind, "categoryId")
    made = Transaction(
        id=making.new_id(),
        owner=making.owner,
        rev=making.rev,
        account_id=account.id,
        kind=new.kind,
        direction=direction,
        units=units,
        day=new.day or making.today,
        status=new.status,
        category_id=new.category_id,
        parts=parts_of(new.parts, units, account.currency, new.kind, facts),
        tags=new.tags,
        excluded=new.excluded,
        description=new.description,
        payee=new.payee,
        notes=new.notes,
        foreign=None if new.foreign is None else foreign_amount(new.foreign),
        occurred_at=new.occurred_at,
        refund_of=new.refund_of,
        transfer_id=making.new_id() if new.kind == TRANSFER else None,
        counterpart_id=making.new_id() if paired else None,
        origins=MANUAL,
        external_id=new.external_id,
        created_at=making.now,
        updated_at=making.now,
    )
    if new.to_account_id is None:
        return [made]
    return [
        made,
        _other_leg(new, made, account, facts.open_account(new.to_account_id, "toAccountId")),
    ]


def _check_fields(new: NewTransaction) -> None:
    if new.refund_of is not None and new.kind != "refund":
        raise InvalidRequest.of("refundOf", "must be left out: only a refund has it")
    for field, value in (
        ("toAccountId", new.to_account_id),
        ("toAmount", new.to_amount),
        ("toDate", new.to_day),
    ):
        if value is None:
            continue
        if new.kind != TRANSFER:
            raise InvalidRequest.of(field, "must be left out: only a transfer has it")
        if new.to_account_id is None:
            raise InvalidRequest.of("toAccountId", f"is required with {field}")


def _other_leg(
    new: NewTransaction, leg: Transaction, account: AccountFacts, other: AccountFacts
) -> Transaction:
    if other.id == account.id:
        raise InvalidRequest.of("toAccountId", "must be another account")
    if new.to_amount is None:
        if other.currency != account.currency:
            raise InvalidRequest.of(
                "toAmount", f"is required: the other account is in {other.currency}"
            )
        units = leg.units
    else:
        units = positive_units(new.to_amount, other.currency, "toAmount")
        if other.currency == account.currency and units != leg.units:
            text = money.text(leg.units, account.currency)
            raise InvalidRequest.of(
                "toAmount.value", f"must be {text}, the amount, within one currency"
            )
    if leg.counterpart_id is None:
        raise ValueError("the leg of a transfer between own accounts has a counterpart")
    return Transaction(
        id=leg.counterpart_id,
        owner=leg.owner,
        rev=leg.rev,
        account_id=other.id,
        kind="transfer",
        direction="in",
        units=units,
        day=new.to_day or leg.day,
        status=leg.status,
        excluded=leg.excluded,
        tags=leg.tags,
        description=leg.description,
        payee=leg.payee,
        notes=leg.notes,
        occurred_at=leg.occurred_at,
        transfer_id=leg.transfer_id,
        counterpart_id=leg.id,
        origins=leg.origins,
        created_at=leg.created_at,
        updated_at=leg.updated_at,
    )
