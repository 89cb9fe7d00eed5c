"""Stored records as the contract's messages; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finlink.connectors.v1 import record_pb2 as pb
from finlink.types.v1 import money_pb2

from server.domains.connectors.records.store import StoredRecord
from server.rpc.times import timestamp


def record(value: StoredRecord) -> pb.Record:
    message = pb.Record(
        id=value.id,
        data_type=value.data_type,
        added_at=timestamp(value.added_at),
        updated_at=timestamp(value.updated_at),
    )
    data = value.data
    if value.data_type == "transactions":
        message.transaction.CopyFrom(_transaction(data))
    elif value.data_type == "trades":
        message.trade.CopyFrom(_trade(data))
    elif value.data_type == "portfolio":
        message.holding.CopyFrom(_holding(data))
        if value.closed_at is not None:
            message.holding.closed_at.FromDatetime(value.closed_at)
    else:
        message.profile.CopyFrom(_profile(data))
    return message


def _amount(data: Mapping[str, Any] | None) -> money_pb2.Money | None:
    return money_pb2.Money(value=data["value"], currency=data.get("currency")) if data else None


def _transaction(data: Mapping[str, Any]) -> pb.TransactionRecord:
    return pb.TransactionRecord(
        date=data["date"],
        direction=data["direction"],
        amount=_amount(data["amount"]),
        balance_after=_amount(data.get("balanceAfter")),
        narration=data["narration"],
        mode=data["mode"],
        institution=data["institution"],
    )


def _trade(data: Mapping[str, Any]) -> pb.TradeRecord:
    return pb.TradeRecord(
        time=timestamp(data.get("time")),
        date=data.get("date"),
        side=data["side"],
        isin=data.get("isin"),
        symbol=data.get("symbol"),
        exchange=data.get("exchange"),
        fund=data.get("fund"),
        folio=data.get("folio"),
        quantity=data["quantity"],
        price=data.get("price"),
        amount=_amount(data.get("amount")),
    )


def _holding(data: Mapping[str, Any]) -> pb.HoldingRecord:
    return pb.HoldingRecord(
        kind=data["kind"],
        name=data["name"],
        isin=data.get("isin"),
        symbol=data.get("symbol"),
        exchange=data.get("exchange"),
        folio=data.get("folio"),
        institution=data.get("institution"),
        quantity=data.get("quantity"),
        average_price=data.get("averagePrice"),
        last_price=data.get("lastPrice"),
        value=_amount(data.get("value")),
        as_of=data.get("asOf"),
    )


def _profile(data: Mapping[str, Any]) -> pb.ProfileRecord:
    return pb.ProfileRecord(
        platform_user_id=data.get("platformUserId"),
        name=data.get("name"),
        email=data.get("email"),
        broker=data.get("broker"),
        account_type=data.get("accountType"),
        date_of_birth=data.get("dateOfBirth"),
        institutions=data.get("institutions", ()),
        exchanges=data.get("exchanges", ()),
        products=data.get("products", ()),
    )
