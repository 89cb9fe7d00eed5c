"""Categories as the contract's messages and back, where that is more than names."""

from typing import Any

from finlink.exports.v1 import export_service_pb2
from finlink.money.v1 import category_pb2
from finlink.money.v1 import category_service_pb2 as rpc

from server.core.model import Changes
from server.core.texts import needed, tidied
from server.domains.money.categories.model import Category, CategoryFields, NewCategory
from server.rpc.fields import to_changes, to_message, to_model


def new_category(request: rpc.CreateCategoryRequest) -> NewCategory:
    return to_model(NewCategory, _tidied(request))


def changes_of(request: rpc.UpdateCategoryRequest) -> Changes:
    return to_changes(CategoryFields, _tidied(request))


def exported(category: Category) -> export_service_pb2.ExportUserResponse:
    message = to_message(category_pb2.Category, category)
    return export_service_pb2.ExportUserResponse(category=message)


def _tidied(request: Any) -> Any:
    if request.name:
        request.name = needed(request.name, "name")
    if request.HasField("icon"):
        request.icon = tidied(request.icon)
    if request.HasField("parent_id"):
        request.parent_id = request.parent_id.lower()
    return request
