"""The errors of users."""

from server.core.errors import ApiError


class UserNotFound(ApiError):
    code = "USER_NOT_FOUND"
    default_message = "User not found"


class LastAdmin(ApiError):
    """Only `grant-admin` on the command line could make another one."""

    code = "LAST_ADMIN"
    default_message = "The user is the only active admin; make another admin first"
