"""Errors of budgets."""

from server.core.errors import ApiError


class BudgetNotFound(ApiError):
    code = "BUDGET_NOT_FOUND"
    default_message = "Budget not found"


class BudgetItemNotFound(ApiError):
    code = "BUDGET_ITEM_NOT_FOUND"
    default_message = "Budget item not found"


class BudgetItemExists(ApiError):
    code = "BUDGET_ITEM_EXISTS"
    default_message = "The budget has an item of this category"
