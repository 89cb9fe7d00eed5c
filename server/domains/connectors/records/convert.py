"""Stored records as the contract's messages, by the names of their fields; pure."""

from finlink.connectors.v1 import record_pb2 as pb

from server.domains.connectors.records.store import StoredRecord
from server.rpc.fields import from_document, to_message

_ITEMS = {
    "transactions": ("transaction", pb.TransactionRecord),
    "trades": ("trade", pb.TradeRecord),
    "portfolio": ("holding", pb.HoldingRecord),
    "profile": ("profile", pb.ProfileRecord),
}


def record(value: StoredRecord) -> pb.Record:
    name, kind = _ITEMS[value.data_type]
    data = {**value.data, "closedAt": value.closed_at}  # of holdings
    return to_message(pb.Record, value, **{name: from_document(kind, data)})
