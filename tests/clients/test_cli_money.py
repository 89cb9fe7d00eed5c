"""The commands about money, as people see them at 80 columns, and as programs read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from typing import Any, TypeAlias

import pytest
from finlink_cli import contract, output, plots, rpcs
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from rich.cells import cell_len

from server.core.errors import ApiError, InvalidRequest
from server.domains.money.categories.errors import CategoryNotFound
from server.rpc.status import STATUSES, grpc_details
from tests.clients.command_line import Outcome
from tests.clients.scripted import Failure, Script

Run: TypeAlias = Callable[..., Outcome]

BANK, CARD, EURO = ("65a5072e9f1c2b3d4e5f60a" + each for each in "123")
FOOD, SNACKS, WAGES, RENT = ("65a5072e9f1c2b3d4e5f60b" + each for each in "1234")
BUDGET = "65a5072e9f1c2b3d4e5f60c1"


def inr(value: str) -> dict[str, str]:
    return {"value": value, "currency": "INR"}


def account(identifier: str, name: str, value: str, currency: str = "INR", **others: Any) -> Any:
    amount = {"value": value, "currency": currency}
    return {
        "accountId": identifier, "name": name, "type": "bank", "currency": currency, "balance": amount,
        "openingBalance": {**amount, "value": "0"}, "source": "manual", "inNetWorth": True, **others,
    }  # fmt: skip


ACCOUNTS = [
    account(BANK, "HDFC Savings", "1234567.80", lastTransactionDate="2026-11-28"),
    account(
        CARD, "ICICI Amazon Pay", "-1250.05", type="credit_card", source="connector", provider="fi_money"
    ),
    account(EURO, "N26", "87.50", "EUR"),
    account("0" * 24, "House deposit", "5.00", inNetWorth=False),
]  # fmt: skip
CATEGORIES = [
    {"id": FOOD, "name": "Food", "type": "expense"},
    {"id": SNACKS, "name": "Snacks", "type": "expense", "parentId": FOOD},
    {"id": WAGES, "name": "Wages", "type": "income"},
    {"id": RENT, "name": "Rent and all that belongs to a house", "type": "expense"},
]


def transaction(
    day: int, value: str, kind: str = "expense", category: str | None = None, **others: Any
) -> Any:
    made = {
        "id": f"65a5072e9f1c2b3d4e5f61{day:02}", "date": f"2026-11-{day:02}", "kind": kind,
        "amount": inr(value), "accountId": BANK, "status": "posted",
        "direction": "in" if kind in {"income", "refund"} else "out", **others,
    }  # fmt: skip
    return {**made, "categoryId": category} if category else made


TRANSACTIONS = [
    transaction(28, "450.00", category=SNACKS, payee="Swiggy", status="pending"),
    transaction(25, "12.00", category=FOOD, amount={"value": "12.00", "currency": "EUR"}, accountId=EURO),
    transaction(24, "1000.00", "transfer", payee="Card payment"),
    transaction(21, "100.00", "refund", SNACKS, payee="Zomato"),
    transaction(
        20, "900.00", payee="Big Bazaar",
        splits=[{"categoryId": FOOD, "amount": inr("600.00")}, {"amount": inr("300.00")}],
    ),
    transaction(12, "250.50", category=SNACKS, bankText="UPI/ZOMATO/1\x1b[2J"),
    transaction(5, "15000.00", category=RENT, payee="Landlord", status="reconciled"),
    transaction(2, "99.00", category=FOOD, excluded=True),
    transaction(1, "80000.00", "income", WAGES, payee="Employer"),
]  # fmt: skip


def item(
    category: str, spent: str, available: str, percent: str | None, status: str
) -> dict[str, Any]:
    amounts = {
        "budgeted": inr(available), "carriedIn": inr("0.00"), "available": inr(available),
        "spent": inr(spent), "remaining": inr("0.00"),
    }  # fmt: skip
    made = {"itemId": "1" * 24, "categoryId": category, "status": status, **amounts}
    return made if percent is None else {**made, "usedPercent": percent}


ANALYSIS = {
    "budgetId": BUDGET, "currency": "INR", "ratesAsOf": "2026-10-30", "ratesStale": True,
    "periods": [{
        "period": {"from": "2026-11-01", "to": "2026-11-30", "daysLeft": 2},
        "items": [
            item(FOOD, "4500.00", "6000.00", "75.0", "ok"),
            item(RENT, "15000.00", "15000.00", "100.0", "warning"),
            item(SNACKS, "1200.00", "800.00", "150.0", "over"),
            item(WAGES, "0.00", "0.00", None, "ok"),
        ],
        "totals": {
            name: inr(value) for name, value in (
                ("budgeted", "21800.00"), ("carriedIn", "0.00"), ("available", "21800.00"),
                ("spent", "20700.00"), ("remaining", "1100.00"),
            )
        } | {"usedPercent": "95.0"},
        "income": inr("80000.00"),
        "unbudgeted": [{"spent": inr("310.00")}],
        "unconverted": [{"value": "12.00", "currency": "AED"}],
    }],
}  # fmt: skip


def reply(method: str, content: Mapping[str, Any]) -> bytes:
    kind = GetMessageClass(rpcs.method_of(contract.find(method)).output_type)
    serialized: bytes = ParseDict({"data": content}, kind()).SerializeToString()
    return serialized


@pytest.fixture
def run(finlink: Run, script: Script, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command at 80 columns, on replies by RPC."""
    import_module("google.rpc.status_pb2")
    monkeypatch.setattr(output, "UNLIMITED", 80)

    def ran(*words: str, **replies: Any) -> Outcome:
        names = {"ListCategories": [{"categories": CATEGORIES}, {}], **replies}
        for method, contents in names.items():
            script.replies[method].clear()
            script.replies[method].extend(reply(method, each) for each in contents)
        outcome = finlink(*words, "--address", script.address)
        assert all(cell_len(line) <= 80 for line in outcome.out.splitlines()) or "json" in str(
            words
        )
        return outcome

    return ran


def test_accounts_are_summed_up_by_currency(run: Run) -> None:
    shown = run("accounts", "list", ListAccounts=[{"accounts": ACCOUNTS}]).out.splitlines()
    assert shown[0].split()[:4] == ["name", "balance", "currency", "type"]
    assert "1,234,567.80  INR" in shown[1]
    assert "   -1,250.05  INR" in shown[2], "below the digits of the others"
    assert shown[-1] == "Net worth of these: 87.50 EUR, 1,233,317.75 INR."
    given = run("accounts", "list", "--json", ListAccounts=[{"accounts": ACCOUNTS}]).json
    assert [each["balance"]["value"] for each in given["accounts"]][:2] == [
        "1234567.80",
        "-1250.05",
    ]
    assert run("accounts", "list", ListAccounts=[{}]).out == "No accounts.\n"


def test_transactions_have_the_names_of_accounts_and_categories(run: Run) -> None:
    page = {"transactions": TRANSACTIONS, "pagination": {"nextPageToken": "abc"}}
    replies = {"ListTransactions": [page], "ListAccounts": [{"accounts": ACCOUNTS}, {}]}
    shown = run("transactions", "list", **replies).out
    lines = shown.splitlines()
    assert lines[0].split() == ["date", "amount", "what", "category"]
    assert "-450.00 INR  Swiggy (pending)" in lines[1]
    assert "Food / Snacks" in lines[1]
    assert "-12.00 EUR" in lines[2]
    assert "transfer" in lines[3]
    assert "2 parts" in shown
    assert "\x1b" not in shown
    assert "--page-token abc" in shown
    given = run("transactions", "list", "--json", **replies).json
    assert given["transactions"][0]["amount"] == inr("450.00")


def test_deleted_transactions_are_counted(run: Run) -> None:
    gone = {"id": "0" * 24, "deleted": True}
    page = {"transactions": [gone], "pagination": {}}
    shown = run("transactions", "list", "--changed-since", "3", ListTransactions=[page]).out
    assert shown == "No transactions.\n\n1 were deleted: --json has them.\n"


def test_all_pages_are_listed(run: Run) -> None:
    pages = [
        {"transactions": TRANSACTIONS[:2], "pagination": {"nextPageToken": "abc"}},
        {"transactions": TRANSACTIONS[2:3], "pagination": {}},
    ]
    replies = {"ListTransactions": pages, "ListAccounts": [{"accounts": ACCOUNTS}, {}]}
    assert len(run("transactions", "list", "--all", **replies).out.splitlines()) == 5


def test_a_month_is_plotted(run: Run) -> None:
    pages = [{"transactions": TRANSACTIONS, "pagination": {}}]
    shown = run("transactions", "month", "2026-11", ListTransactions=pages).out.splitlines()
    assert shown[0] == "Spent each day of 2026-11, in INR"
    (top,) = (line for line in shown if line.startswith("15,000.00 │"))
    assert top.rstrip().endswith(" █"), "the fifth is the highest"
    bottom = shown[shown.index(next(line for line in shown if "└" in line)) - 1].partition("│")[2]
    columns = bottom[::2]
    assert [day for day, each in enumerate(columns, 1) if each.strip()] == [5, 12, 20]
    assert shown[-2:] == ["", "There is more in EUR: --currency."]
    assert shown[-5:-2] == [
        "income  80,000.00 INR",
        "spent   16,050.50 INR",
        "net     63,949.50 INR",
    ]
    assert any(line.startswith("Food / Snacks") and "150.50" in line for line in shown)
    assert any(line.startswith("no category") and "300.00" in line for line in shown)


def test_a_month_is_read_by_programs(run: Run, script: Script) -> None:
    pages = [{"transactions": TRANSACTIONS, "pagination": {}}]
    given = run("transactions", "month", "2026-11", "--json", ListTransactions=pages).json
    assert (given["income"], given["spent"], given["net"]) == ("80000.00", "16050.50", "63949.50")
    assert len(given["days"]) == 30
    assert given["days"][20] == {"date": "2026-11-21", "spent": "-100.00"}
    assert sum(Decimal(each["spent"]) for each in given["categories"]) == Decimal("16050.50")
    euro = run(
        "transactions", "month", "2026-11", "--currency", "EUR", "--json", ListTransactions=pages
    )
    assert (euro.json["currency"], euro.json["spent"]) == ("EUR", "12.00")
    asked = [each for each in script.received if each.method.endswith("ListTransactions")][-1]
    assert b"2026-11-30" in asked.request


def test_a_month_with_nothing(run: Run) -> None:
    outcome = run("transactions", "month", "2026-02", ListTransactions=[{"pagination": {}}])
    assert outcome.out == "Nothing was spent or earned in 2026-02.\n"
    wrong = run("transactions", "month", "2026-13")
    assert (wrong.code, "MONTH must be a year and month, as 2026-11" in wrong.err) == (2, True)
    pages = [{"transactions": TRANSACTIONS, "pagination": {}}]
    other = run("transactions", "month", "2026-11", "--currency", "usd", ListTransactions=pages)
    assert other.out.splitlines() == [
        "Nothing was spent or earned in 2026-11 in USD.",
        "",
        "There is more in EUR, INR: --currency.",
    ]


def test_without_a_month_it_is_the_present_one(run: Run, script: Script) -> None:
    began = datetime.now().astimezone()
    outcome = run("transactions", "month", ListTransactions=[{"pagination": {}}])
    months = {f"{day:%Y-%m}" for day in (datetime.now().astimezone(), began)}
    assert outcome.out in {f"Nothing was spent or earned in {month}.\n" for month in months}
    assert any(f"{month}-01".encode() in script.received[0].request for month in months)


def test_a_service_names_the_user(
    run: Run, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("accounts", "list", "--on-behalf-of", "asha", ListAccounts=[{"accounts": ACCOUNTS}])
    monkeypatch.setenv("FINLINK_ON_BEHALF_OF", "ravi")
    run("accounts", "list", ListAccounts=[{"accounts": ACCOUNTS}])
    named = [each.metadata.get("x-on-behalf-of") for each in script.received]
    assert named == ["asha", "ravi"]


def test_transactions_of_an_account_have_its_balance_after_each(run: Run) -> None:
    rows = [
        {**each, "balanceAfter": inr(f"{100000 - place}.00")}
        for place, each in enumerate(TRANSACTIONS[2:5])
    ]
    page = {"transactions": [TRANSACTIONS[0], *rows], "pagination": {}}
    replies = {"ListAccountTransactions": [page], "ListAccounts": [{"accounts": ACCOUNTS}, {}]}
    lines = run("accounts", "transactions", BANK, **replies).out.splitlines()
    assert lines[0].split()[:4] == ["date", "amount", "balance", "what"]
    assert "Swiggy (pending)" in lines[1]
    assert "-1,000.00 INR  100,000.00  Card payment" in lines[2]
    assert "  100.00 INR   99,999.00  Zomato" in lines[3]


def test_a_month_without_spending_has_no_plot(run: Run) -> None:
    pages = [{"transactions": [TRANSACTIONS[-1]], "pagination": {}}]
    shown = run("transactions", "month", "2026-11", ListTransactions=pages).out.splitlines()
    assert [line.split()[0] for line in shown] == ["income", "spent", "net"]


def test_an_error_names_the_option(finlink: Run, script: Script) -> None:
    """Once, and also that a message asks for."""
    taken = CategoryNotFound.about("categoryId")
    differs = ApiError("It differs: send adjust to book that, or nothing at all")
    differs.code = "RECONCILE_DIFFERENCE"
    script.replies["CreateTransaction"].append(
        Failure(STATUSES[taken.code][0], taken.message, grpc_details(taken))
    )
    script.replies["ReconcileAccount"].append(
        Failure(STATUSES[differs.code][0], differs.message, grpc_details(differs))
    )
    where = ("--address", script.address)
    create = ("transactions", "create", BANK, "expense", "--amount", "1", "--category", FOOD)
    hint = "'finlink categories list' shows those there are."
    assert finlink(*create, *where).err == f"finlink: --category: Category not found. {hint}\n"
    reconcile = ("accounts", "reconcile", BANK, "2026-11-30", "--statement-balance", "1")
    said = "It differs: send --adjust to book that, or nothing at all."
    assert finlink(*reconcile, *where).err == f"finlink: {said}\n"


def test_an_error_has_its_facts(finlink: Run, script: Script) -> None:
    error = ApiError("The category is used: send moveTo", metadata={"transactions": "3"})
    error.code = "CATEGORY_IN_USE"
    failure = Failure(STATUSES[error.code][0], error.message, grpc_details(error))
    script.replies["DeleteCategory"].extend([failure, failure])
    words = ("categories", "delete", FOOD, "--yes", "--address", script.address)
    shown = "finlink: The category is used: send --move-to:\n  transactions: 3"
    assert finlink(*words).err.strip() == shown
    assert finlink(*words, "--json").error["metadata"] == {"transactions": "3"}


def test_who_is_meant_is_asked_for(finlink: Run, script: Script) -> None:
    """Of somebody without a credential, and of a service."""
    said = "sign in as the user with 'finlink login'."
    unnamed = ApiError("This call is about one user: send x-on-behalf-of: USER_ID, or sign in")
    unnamed.code = "UNAUTHENTICATED"
    required = InvalidRequest.of(
        "X-On-Behalf-Of", "is required of an API key: the userId of a user"
    )
    script.replies["ListAccounts"].extend(
        Failure(STATUSES[each.code][0], each.message, grpc_details(each))
        for each in (unnamed, required)
    )
    words = ("accounts", "list", "--address", script.address)
    assert finlink(*words).err == (
        f"finlink: this command is about one user. Name the user with --on-behalf-of, or {said}\n"
    )
    lines = finlink(*words).err.splitlines()
    assert lines[1] == "  --on-behalf-of: is required of an API key: the userId of a user"
    assert lines[2].endswith(said)


def test_the_items_of_a_budget_have_the_names_of_their_categories(run: Run) -> None:
    planned = [
        {"id": "1" * 24, "categoryId": SNACKS, "amount": inr("800.00"), "alertPercents": [80, 100]},
        {"id": "2" * 24, "categoryId": RENT, "amount": inr("15000.00"), "rollover": "surplus"},
    ]
    lines = run("budgets", "items", BUDGET, ListBudgetItems=[{"items": planned}]).out.splitlines()
    assert lines[0].split()[:3] == ["category", "amount", "currency"]
    assert "Food / Snacks" in lines[1]
    assert "   800.00  INR" in lines[1]
    assert "15,000.00  INR       surplus" in lines[2]


def test_a_budget_is_shown_as_bars(run: Run) -> None:
    shown = run("budgets", "analyze", BUDGET, AnalyzeBudget=[ANALYSIS]).out
    lines = shown.splitlines()
    assert lines[0] == "2026-11-01 to 2026-11-30, 2 days left, in INR"
    food, rent, snacks, wages, together = lines[1:6]
    assert "4,500.00 of  6,000.00" in food
    assert food.endswith("75.0 %")
    assert rent.endswith("100.0 % warning")
    assert snacks.endswith("150.0 % over")
    assert wages.endswith("–")
    assert together.startswith("total")
    assert rent.count("█") == snacks.count("█") > food.count("█") > wages.count("█") == 0
    assert "not in the budget: no category 310.00" in lines
    assert "without an exchange rate: 12.00 AED" in lines
    assert lines[-1] == "The exchange rates are those of 2026-10-30."
    given = run("budgets", "analyze", BUDGET, "--json", AnalyzeBudget=[ANALYSIS]).json
    assert given["periods"][0]["items"][2]["status"] == "over"


@pytest.mark.parametrize(
    ("value", "whole", "drawn"),
    [("0", "10", ""), ("-5", "10", ""), ("10", "10", "████"), ("50", "10", "████"), ("5", "10", "██"),
     ("0.001", "10", "▏"), ("3", "0", "████"), ("0", "0", "")],
)  # fmt: skip
def test_a_bar_is_as_long_as_its_share(value: str, whole: str, drawn: str) -> None:
    assert plots.bar(Decimal(value), Decimal(whole), 4) == drawn


def test_columns_are_as_high_as_their_values() -> None:
    values = [Decimal(each) for each in ("0", "1", "2", "-1", "4")]
    assert plots.columns(values, 2) == ["        █", "  ▄ █   █"]
