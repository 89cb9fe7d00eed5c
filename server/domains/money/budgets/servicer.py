"""The RPCs of finlink.money.v1.BudgetService: convert in, call the service, convert out."""

from dataclasses import dataclass
from datetime import date
from functools import partial

from finlink.money.v1 import budget_analysis_pb2 as analysis_pb
from finlink.money.v1 import budget_changes_pb2 as pb
from finlink.money.v1 import budget_service_pb2_grpc

from server.domains.money.budgets import convert
from server.domains.money.budgets.items import BudgetItems
from server.domains.money.budgets.performance import BudgetPerformance
from server.domains.money.budgets.service import BudgetService
from server.domains.money.ledger.model import MoneyOwner
from server.rpc.call import Context, current_user, replied


@dataclass(frozen=True)
class BudgetServicer(budget_service_pb2_grpc.BudgetServiceServicer):
    _service: BudgetService
    _items: BudgetItems
    _performance: BudgetPerformance

    async def ListBudgets(
        self, request: pb.ListBudgetsRequest, context: Context
    ) -> pb.ListBudgetsResponse:
        found = await self._service.list(_owner(), archived=request.archived)
        return pb.ListBudgetsResponse(data=pb.ListBudgetsData(budgets=map(convert.budget, found)))

    async def CreateBudget(
        self, request: pb.CreateBudgetRequest, context: Context
    ) -> pb.CreateBudgetResponse:
        change = partial(self._service.create, _owner(), convert.new_budget(request))
        return await replied(
            change,
            lambda made: pb.CreateBudgetResponse(
                message="Budget created successfully", data=convert.budget(made)
            ),
        )

    async def GetBudget(
        self, request: pb.GetBudgetRequest, context: Context
    ) -> pb.GetBudgetResponse:
        found = await self._service.get(_owner(), request.id.lower())
        return pb.GetBudgetResponse(data=convert.budget(found))

    async def UpdateBudget(
        self, request: pb.UpdateBudgetRequest, context: Context
    ) -> pb.UpdateBudgetResponse:
        changes, etag = convert.budget_changes(request), _etag(request)
        change = partial(self._service.update, _owner(), request.id.lower(), changes, etag)
        return await replied(
            change,
            lambda made: pb.UpdateBudgetResponse(
                message="Budget updated successfully", data=convert.budget(made)
            ),
        )

    async def DeleteBudget(
        self, request: pb.DeleteBudgetRequest, context: Context
    ) -> pb.DeleteBudgetResponse:
        change = partial(self._service.delete, _owner(), request.id.lower(), _etag(request))
        return await replied(
            change, lambda _: pb.DeleteBudgetResponse(message="Budget deleted successfully")
        )

    async def ListBudgetItems(
        self, request: pb.ListBudgetItemsRequest, context: Context
    ) -> pb.ListBudgetItemsResponse:
        found = await self._service.get(_owner(), request.id.lower())
        items = [convert.item(found, each) for each in found.items]
        return pb.ListBudgetItemsResponse(data=pb.ListBudgetItemsData(items=items))

    async def CreateBudgetItem(
        self, request: pb.CreateBudgetItemRequest, context: Context
    ) -> pb.CreateBudgetItemResponse:
        new = convert.new_item(request)
        change = partial(self._items.create, _owner(), request.id.lower(), new)
        return await replied(
            change,
            lambda made: pb.CreateBudgetItemResponse(
                message="Budget item created successfully", data=convert.item(*made)
            ),
        )

    async def UpdateBudgetItem(
        self, request: pb.UpdateBudgetItemRequest, context: Context
    ) -> pb.UpdateBudgetItemResponse:
        ids, changes = (request.id.lower(), request.item_id.lower()), convert.item_changes(request)
        change = partial(self._items.update, _owner(), *ids, changes, _etag(request))
        return await replied(
            change,
            lambda made: pb.UpdateBudgetItemResponse(
                message="Budget item updated successfully", data=convert.item(*made)
            ),
        )

    async def DeleteBudgetItem(
        self, request: pb.DeleteBudgetItemRequest, context: Context
    ) -> pb.DeleteBudgetItemResponse:
        ids = (request.id.lower(), request.item_id.lower())
        change = partial(self._items.delete, _owner(), *ids, _etag(request))
        return await replied(
            change,
            lambda _: pb.DeleteBudgetItemResponse(message="Budget item deleted successfully"),
        )

    async def AnalyzeBudget(
        self, request: analysis_pb.AnalyzeBudgetRequest, context: Context
    ) -> analysis_pb.AnalyzeBudgetResponse:
        day = date.fromisoformat(request.date) if request.HasField("date") else None
        found = await self._performance.analyze(
            _owner(), request.id.lower(), day, request.periods or 1
        )
        return analysis_pb.AnalyzeBudgetResponse(data=convert.analysis(found))


def _etag(
    request: pb.UpdateBudgetRequest
    | pb.DeleteBudgetRequest
    | pb.UpdateBudgetItemRequest
    | pb.DeleteBudgetItemRequest,
) -> str | None:
    return request.etag if request.HasField("etag") else None


def _owner() -> MoneyOwner:
    user = current_user()
    return MoneyOwner(user.user, user.user_id)
