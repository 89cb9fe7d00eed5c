"""Who may make each call of money; see `tests/contract/access_table.py`."""

from __future__ import annotations

CLOSED = {
    "RateService": {
        "GetExchangeRates": "read own staff",
        "UpdateExchangeRates": "admin admin",
    },
    "CategoryService": {
        **dict.fromkeys(("CreateCategory", "UpdateCategory", "DeleteCategory"), "write own"),
        **dict.fromkeys(("ListCategories", "GetCategory"), "read own staff"),
    },
    "AccountService": {
        **dict.fromkeys(
            ("CreateAccount", "UpdateAccount", "DeleteAccount", "AttachStream", "DetachStream"),
            "write own",
        ),
        **dict.fromkeys(("ListAccounts", "GetAccount", "GetAccountBalance"), "read own staff"),
    },
    "TransactionService": {
        **dict.fromkeys(
            (
                "CreateTransaction", "UpdateTransaction", "DeleteTransaction", "BulkCreateTransactions",
                "BulkUpdateTransactions", "BulkDeleteTransactions", "RestoreTransaction", "MatchTransaction",
                "UnmatchTransaction", "ReconcileAccount",
            ),
            "write own",
        ),
        **dict.fromkeys(
            (
                "ListTransactions", "GetTransaction", "ListTransferSuggestions", "ListAccountTransactions",
            ),
            "read own staff",
        ),
    },
    "BudgetService": {
        **dict.fromkeys(
            (
                "CreateBudget", "UpdateBudget", "DeleteBudget", "CreateBudgetItem", "UpdateBudgetItem",
                "DeleteBudgetItem",
            ),
            "write own",
        ),
        **dict.fromkeys(
            ("ListBudgets", "GetBudget", "ListBudgetItems", "AnalyzeBudget"), "read own staff"
        ),
    },
}  # fmt: skip
