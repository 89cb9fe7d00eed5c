"""The RPCs of finlink.money.v1.RateService."""

from functools import partial

from finlink.money.v1 import rate_service_pb2 as rpc
from finlink.money.v1 import rate_service_pb2_grpc

from server.domains.money.rates import convert
from server.domains.money.rates.service import RateService
from server.rpc.call import Context, current_user
from server.rpc.formats import parse_date
from server.rpc.replies import changed, reply


class RateServicer(rate_service_pb2_grpc.RateServiceServicer):
    def __init__(self, service: RateService) -> None:
        self._service = service

    async def GetExchangeRates(
        self, request: rpc.GetExchangeRatesRequest, context: Context
    ) -> rpc.GetExchangeRatesResponse:
        day = parse_date(request.date) if request.HasField("date") else None
        base = request.base if request.HasField("base") else None
        rates = await self._service.get(current_user().user_id, day, base)
        return reply(rpc.GetExchangeRatesResponse, rates)

    async def UpdateExchangeRates(
        self, request: rpc.UpdateExchangeRatesRequest, context: Context
    ) -> rpc.UpdateExchangeRatesResponse:
        change = partial(self._service.update, convert.rate_change(request))
        message = "Exchange rates updated successfully"
        return await changed(rpc.UpdateExchangeRatesResponse, message, change)
