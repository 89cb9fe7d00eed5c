"""The errors of users."""

from server.core.errors import ApiError


class UserNotFound(ApiError):
    code = "USER_NOT_FOUND"
    default_message = "User not found"
