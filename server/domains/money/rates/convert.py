"""Exchange rates between the contract's messages and the domain, where that is more than names."""

from finlink.money.v1 import rate_service_pb2 as rpc

from server.domains.money.rates.model import RateChange
from server.rpc.formats import parse_date


def rate_change(request: rpc.UpdateExchangeRatesRequest) -> RateChange:
    return RateChange(
        parse_date(request.date),
        request.base,
        dict(request.rates),
        tuple(request.removed),
        request.etag if request.HasField("etag") else None,
    )
