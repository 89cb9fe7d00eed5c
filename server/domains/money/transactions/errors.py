"""What can go wrong with transactions."""

from server.core.errors import ApiError


class TransactionNotFound(ApiError):
    code = "TRANSACTION_NOT_FOUND"
    default_message = "Transaction not found"


class TransactionExists(ApiError):
    code = "TRANSACTION_EXISTS"
    default_message = "The account has a transaction of this externalId"

    @classmethod
    def of(cls, transaction_id: str) -> "TransactionExists":
        return cls(metadata={"transactionId": transaction_id})


class TransactionReconciled(ApiError):
    code = "TRANSACTION_RECONCILED"
    default_message = "The transaction is reconciled: send unlock to change it all the same"


class TransactionLinked(ApiError):
    code = "TRANSACTION_LINKED"
    default_message = "A bank reported this transaction; its amount and currency cannot be changed"
