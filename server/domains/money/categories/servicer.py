"""The RPCs of finlink.money.v1.CategoryService: convert in, call the service, convert out."""

from functools import partial

from finlink.money.v1 import category_pb2, category_service_pb2_grpc
from finlink.money.v1 import category_service_pb2 as rpc

from server.domains.money.categories import convert
from server.domains.money.categories.service import CategoryService
from server.domains.money.ledger.model import MoneyOwner
from server.rpc.call import Context, current_user
from server.rpc.fields import to_message
from server.rpc.replies import changed, reply


class CategoryServicer(category_service_pb2_grpc.CategoryServiceServicer):
    def __init__(self, service: CategoryService) -> None:
        self._service = service

    async def ListCategories(
        self, request: rpc.ListCategoriesRequest, context: Context
    ) -> rpc.ListCategoriesResponse:
        of_type = request.type if request.HasField("type") else None
        found = await self._service.list(_owner(), of_type, archived=request.archived)
        shown = [to_message(category_pb2.Category, each) for each in found]
        return rpc.ListCategoriesResponse(data=rpc.ListCategoriesData(categories=shown))

    async def CreateCategory(
        self, request: rpc.CreateCategoryRequest, context: Context
    ) -> rpc.CreateCategoryResponse:
        change = partial(self._service.create, _owner(), convert.new_category(request))
        return await changed(rpc.CreateCategoryResponse, "Category created successfully", change)

    async def GetCategory(
        self, request: rpc.GetCategoryRequest, context: Context
    ) -> rpc.GetCategoryResponse:
        return reply(rpc.GetCategoryResponse, await self._service.get(_owner(), request.id))

    async def UpdateCategory(
        self, request: rpc.UpdateCategoryRequest, context: Context
    ) -> rpc.UpdateCategoryResponse:
        etag = request.etag if request.HasField("etag") else None
        changes = convert.changes_of(request)
        change = partial(self._service.update, _owner(), request.id, changes, etag)
        return await changed(rpc.UpdateCategoryResponse, "Category updated successfully", change)

    async def DeleteCategory(
        self, request: rpc.DeleteCategoryRequest, context: Context
    ) -> rpc.DeleteCategoryResponse:
        move_to = request.move_to if request.HasField("move_to") else None
        etag = request.etag if request.HasField("etag") else None
        change = partial(self._service.delete, _owner(), request.id, move_to, etag)
        return await changed(rpc.DeleteCategoryResponse, "Category deleted successfully", change)


def _owner() -> MoneyOwner:
    user = current_user()
    return MoneyOwner(user.user, user.user_id)
