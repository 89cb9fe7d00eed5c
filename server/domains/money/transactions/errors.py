"""Errors of transactions."""

from server.core.errors import ApiError


class TransactionNotFound(ApiError):
    code = "TRANSACTION_NOT_FOUND"
    default_message = "Transaction not found"


class TransactionExists(ApiError):
    code = "TRANSACTION_EXISTS"
    default_message = "The account has a transaction of this externalId"

    @classmethod
    def of(cls, transaction_id: str, message: str | None = None) -> "TransactionExists":
        return cls(message, metadata={"transactionId": transaction_id})


class TransactionReconciled(ApiError):
    code = "TRANSACTION_RECONCILED"
    default_message = "The transaction is reconciled: send unlock to change it all the same"


class ReconcileDifference(ApiError):
    """`metadata.difference` is what the account lacks."""

    code = "RECONCILE_DIFFERENCE"
    default_message = "The statement differs from the account: send adjust to book the difference"

    @classmethod
    def of(cls, difference: str) -> "ReconcileDifference":
        return cls(metadata={"difference": difference})


class TransactionLinked(ApiError):
    code = "TRANSACTION_LINKED"
    default_message = "A bank reported this transaction; its amount and currency cannot be changed"
