"""Errors of accounts."""

from server.core.errors import ApiError


class AccountNotFound(ApiError):
    code = "ACCOUNT_NOT_FOUND"
    default_message = "Account not found"


class AccountExists(ApiError):
    code = "ACCOUNT_EXISTS"
    default_message = "The user has an account of this name"


class AccountInUse(ApiError):
    """`metadata.transactions` counts what it has."""

    code = "ACCOUNT_IN_USE"
    default_message = "The account has transactions: send withTransactions to delete them with it"


class AccountArchived(ApiError):
    code = "ACCOUNT_ARCHIVED"
    default_message = "The account is archived"
