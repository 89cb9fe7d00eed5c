"""A user's money: an account, an expense, and the newest transactions with their categories.

python money.py USER [ADDRESS]    default: FINLINK_ADDRESS, else localhost:50051

A service calls on behalf of the user, whom it names with each call.
"""

import sys

import finlink_client
from finlink.money.v1.account_changes_pb2 import CreateAccountRequest
from finlink.money.v1.category_service_pb2 import ListCategoriesRequest
from finlink.money.v1.transaction_lists_pb2 import ListTransactionsRequest
from finlink.money.v1.transaction_pb2 import CreateTransactionRequest
from finlink.types.v1.money_pb2 import Money


def main(user_id: str, address: str | None) -> None:
    user = (("x-on-behalf-of", user_id),)
    with finlink_client.connect_blocking(address) as finlink:
        found = finlink.categories.ListCategories(
            ListCategoriesRequest(type="expense"), metadata=user
        )
        names = {each.id: each.name for each in found.data.categories}
        account = finlink.accounts.CreateAccount(
            CreateAccountRequest(name="Wallet", type="cash"), metadata=user
        ).data
        finlink.transactions.CreateTransaction(
            CreateTransactionRequest(
                account_id=account.account_id,
                kind="expense",
                amount=Money(value="450.00", currency=account.currency),
                category_id=found.data.categories[0].id,
                payee="Swiggy",
            ),
            metadata=user,
        )
        newest = finlink.transactions.ListTransactions(
            ListTransactionsRequest(limit=10), metadata=user
        )
        for each in newest.data.transactions:
            amount = f"{each.amount.value} {each.amount.currency}"
            category = names.get(each.category_id, "no category")
            print(f"{each.date}: {each.kind} of {amount}, {each.payee}, {category}")


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
    except finlink_client.FinlinkError as error:
        sys.exit(f"{type(error).__name__}: {error}")
