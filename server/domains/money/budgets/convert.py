"""Budgets as the contract's messages and back."""

from datetime import date
from typing import Any

from finlink.exports.v1 import export_service_pb2
from finlink.money.v1 import budget_analysis_pb2 as analysis_pb
from finlink.money.v1 import budget_changes_pb2 as changes_pb
from finlink.money.v1 import budget_pb2 as pb
from finlink.types.v1 import money_pb2

from server.core import money
from server.core.errors import InvalidRequest
from server.core.texts import needed
from server.domains.money.budgets.analysis import PeriodAnalysis, percent
from server.domains.money.budgets.model import (
    USUAL_ALERTS,
    Budget,
    BudgetChanges,
    Item,
    ItemAnalysis,
    ItemChanges,
    NewBudget,
    NewItem,
)
from server.domains.money.budgets.performance import Performance
from server.domains.money.transactions.model import Amount
from server.rpc.json_values import camel

_REMOVED_OF_BUDGET: dict[str, Any] = {"end_date": None, "account_ids": ()}
_REMOVED_OF_ITEM: dict[str, Any] = {"rollover": None, "alert_percents": ()}


def new_budget(request: changes_pb.CreateBudgetRequest) -> NewBudget:
    return NewBudget(
        name=needed(request.name, "name"),
        currency=request.currency if request.HasField("currency") else None,
        period=request.period,  # type: ignore[arg-type]  # the contract has the words
        start_date=date.fromisoformat(request.start_date),
        end_date=date.fromisoformat(request.end_date) if request.HasField("end_date") else None,
        rollover=request.rollover or "none",  # type: ignore[arg-type]
        account_ids=tuple(each.lower() for each in request.account_ids),
        items=tuple(map(new_item, request.items)),
    )


def new_item(request: Any) -> NewItem:
    """Of a new budget, or of one that is there."""
    return NewItem(
        category_id=request.category_id.lower(),
        amount=_amount(request.amount),
        rollover=request.rollover if request.HasField("rollover") else None,
        alert_percents=tuple(sorted(request.alert_percents)) or USUAL_ALERTS,
    )


def budget_changes(request: changes_pb.UpdateBudgetRequest) -> BudgetChanges:
    values = _removed(request, _REMOVED_OF_BUDGET)
    if request.HasField("name"):
        values["name"] = needed(request.name, "name")
    for name in ("start_date", "end_date"):
        if request.HasField(name):
            values[name] = date.fromisoformat(getattr(request, name))
    for name in ("rollover", "archived"):
        if request.HasField(name):  # type: ignore[arg-type]
            values[name] = getattr(request, name)
    if request.account_ids:
        values["account_ids"] = tuple(each.lower() for each in request.account_ids)
    return BudgetChanges(**_something(values))


def item_changes(request: changes_pb.UpdateBudgetItemRequest) -> ItemChanges:
    values = _removed(request, _REMOVED_OF_ITEM)
    if request.HasField("category_id"):
        values["category_id"] = request.category_id.lower()
    if request.HasField("amount"):
        values["amount"] = _amount(request.amount)
    if request.HasField("rollover"):
        values["rollover"] = request.rollover
    if request.alert_percents:
        values["alert_percents"] = tuple(sorted(request.alert_percents))
    return ItemChanges(**_something(values))


def _removed(request: Any, values: dict[str, Any]) -> dict[str, Any]:
    """The values of fields that a mask names. Raises InvalidRequest for one that cannot be removed."""
    for path in request.update_mask.paths:
        if path not in values:
            raise InvalidRequest.of("updateMask", f"names {camel(path)}, which cannot be removed")
    return {path: values[path] for path in request.update_mask.paths}


def _something(values: dict[str, Any]) -> dict[str, Any]:
    if not values:
        raise InvalidRequest(
            "Nothing to update: send at least one field, or name one in updateMask"
        )
    return values


def _amount(sent: money_pb2.Money) -> Amount:
    return Amount(sent.value, sent.currency if sent.HasField("currency") else None)


def budget(found: Budget) -> pb.Budget:
    message = pb.Budget(
        id=found.id,
        name=found.name,
        currency=found.currency,
        period=found.period,
        start_date=found.start_date.isoformat(),
        end_date=found.end_date.isoformat() if found.end_date else None,
        rollover=found.rollover,
        account_ids=found.account_ids,
        archived=found.archived,
        items=[item(found, each) for each in found.items],
        etag=str(found.rev),
    )
    message.created_at.FromDatetime(found.created_at)
    message.updated_at.FromDatetime(found.updated_at)
    return message


def exported(found: Budget) -> export_service_pb2.ExportUserResponse:
    return export_service_pb2.ExportUserResponse(budget=budget(found))


def item(of: Budget, found: Item) -> pb.BudgetItem:
    return pb.BudgetItem(
        id=found.id,
        category_id=found.category_id,
        amount=_money(found.units, of.currency),
        rollover=found.rollover,
        alert_percents=found.alert_percents,
        etag=str(found.rev),
    )


def analysis(found: Performance) -> analysis_pb.BudgetAnalysis:
    return analysis_pb.BudgetAnalysis(
        budget_id=found.budget.id,
        currency=found.budget.currency,
        periods=[_period(found, each) for each in found.periods],
        rates_as_of=found.rates_as_of.isoformat() if found.rates_as_of else None,
        rates_stale=found.rates_stale if found.rates_as_of else None,
    )


def _period(of: Performance, found: PeriodAnalysis) -> analysis_pb.BudgetPeriodAnalysis:
    currency, period = of.budget.currency, found.period
    return analysis_pb.BudgetPeriodAnalysis(
        period=analysis_pb.BudgetPeriodDays(
            from_date=period.first.isoformat(),
            to_date=period.last.isoformat(),
            days_left=period.days_left(of.today),
        ),
        items=[_item(each, currency) for each in found.items],
        totals=_totals(found, currency),
        income=_money(found.income, currency),
        unbudgeted=[
            analysis_pb.UnbudgetedSpending(category_id=each, spent=_money(units, currency))
            for each, units in found.unbudgeted
        ],
        unconverted=[_money(units, each) for each, units in sorted(found.unconverted.items())],
    )


def _item(found: ItemAnalysis, currency: str) -> analysis_pb.BudgetItemAnalysis:
    projected = None if found.projected is None else _money(found.projected, currency)
    return analysis_pb.BudgetItemAnalysis(
        item_id=found.item_id,
        category_id=found.category_id,
        budgeted=_money(found.budgeted, currency),
        carried_in=_money(found.carried_in, currency),
        available=_money(found.available, currency),
        spent=_money(found.spent, currency),
        remaining=_money(found.remaining, currency),
        used_percent=percent(found.spent, found.available),
        projected=projected,
        status=found.status,
    )


def _totals(found: PeriodAnalysis, currency: str) -> analysis_pb.BudgetTotals:
    names = ("budgeted", "carried_in", "available", "spent", "remaining")
    sums = {name: sum(getattr(each, name) for each in found.items) for name in names}
    return analysis_pb.BudgetTotals(
        **{name: _money(units, currency) for name, units in sums.items()},
        used_percent=percent(sums["spent"], sums["available"]),
    )


def _money(units: int, currency: str) -> money_pb2.Money:
    return money_pb2.Money(value=money.text(units, currency), currency=currency)
