"""Errors of categories."""

from server.core.errors import ApiError


class CategoryNotFound(ApiError):
    code = "CATEGORY_NOT_FOUND"
    default_message = "Category not found"


class CategoryExists(ApiError):
    code = "CATEGORY_EXISTS"
    default_message = "A category beside it has this name"


class CategoryInUse(ApiError):
    """`metadata` counts what uses it."""

    code = "CATEGORY_IN_USE"
    default_message = (
        "The category is in use: send moveTo with the category that takes its place, or none"
    )
