"""Fi's `fetch_net_worth` and `fetch_epf_details` to holdings. Pure.

Shapes as observed on the Fi MCP dev server. The same money is reported on several levels (a total,
the accounts in it, the schemes in those): each level is kept, under kinds of its own.
"""

from datetime import date
from functools import partial

from finlink_words import HoldingKind

from server.platforms.document import Node
from server.platforms.fi_money.items import section
from server.platforms.identity import Part, number_items
from server.platforms.records import Holding, Item, Money

Row = tuple[tuple[Part, ...], Holding]
Rows = list[Row]

# An account's summary, the field that is its value, and its kind. Funds and provident fund are
# reported again, scheme by scheme and in fetch_epf_details: their accounts are kept apart.
_SUMMARIES: dict[str, tuple[str, HoldingKind]] = {
    "depositSummary": ("currentBalance", "deposit"),
    "recurringDepositSummary": ("currentPrincipalAmount", "deposit"),
    "equitySummary": ("currentValue", "equity"),
    "etfSummary": ("currentValue", "etf"),
    "reitSummary": ("currentValue", "reit"),
    "invitSummary": ("currentValue", "invit"),
    "sgbSummary": ("currentValue", "bond"),
    "npsSummary": ("currentValue", "nps"),
    "mutualFundSummary": ("currentValue", "account"),
    "epfSummary": ("currentBalance", "account"),
    "creditCardSummary": ("currentBalance", "liability"),
    "loanSummary": ("currentOutstanding", "liability"),
}
# For the accounts that come without a summary.
_INSTRUMENTS: dict[str, HoldingKind] = {
    "DEPOSIT": "deposit", "TERM_DEPOSIT": "deposit", "RECURRING_DEPOSIT": "deposit",
    "EQUITIES": "equity", "US_SECURITIES": "equity", "ETF": "etf", "REIT": "reit",
    "INVIT": "invit", "SGB": "bond", "NPS": "nps", "MUTUAL_FUNDS": "account", "EPF": "account",
    "CREDIT_CARD": "liability", "LOAN": "liability",
}  # fmt: skip
_SAVINGS = ("DEPOSIT_ACCOUNT_TYPE_SAVINGS", "DEPOSIT_ACCOUNT_TYPE_CURRENT")
_ACRONYMS = frozenset({"EPF", "ETF", "INVIT", "NPS", "REIT", "SGB", "US"})


def net_worth(document: Node) -> list[Item]:
    """`fetch_net_worth`: the totals, accounts and fund schemes. The grand total is no item."""
    found = section(document, "netWorthResponse", "mfSchemeAnalytics", "accountDetailsBulkResponse")
    parts = {
        "netWorthResponse": _totals,
        "mfSchemeAnalytics": _schemes,
        "accountDetailsBulkResponse": _accounts,
    }
    read = [document.tolerate(partial(parts[name], node)) for name, node in found.items()]
    return number_items([row for rows in read if rows is not None for row in rows])


def _totals(totals: Node) -> Rows:
    """Liabilities stand in either list, negative among the assets: the name says which it is."""
    if totals.as_object() and totals.find("assetValues") is None:
        # A user with debts alone still has a grand total; anything else is another document.
        totals.get("totalNetWorthValue").money()
    rows: Rows = []
    for name, otherwise_owed in (("assetValues", False), ("liabilityValues", True)):
        if (values := totals.find(name)) is not None:
            rows += totals.tolerate(partial(values.rows, partial(_total, otherwise_owed))) or []
    return rows


def _total(otherwise_owed: bool, total: Node) -> Row:
    attribute = total.get("netWorthAttribute").word()
    amount = total.get("value").money()
    owed = attribute.startswith("LIABILITY_") or (
        otherwise_owed and not attribute.startswith("ASSET_")
    )
    record = Holding(
        kind="liability_total" if owed else "asset_total",
        name=_readable(attribute),
        value=_unsigned(amount) if owed else amount,
    )
    return ("fi/total", attribute), record


def _schemes(analytics: Node) -> Rows:
    schemes = section(analytics, "schemeAnalytics").get("schemeAnalytics")
    return [] if schemes is None else schemes.rows(_scheme)


def _scheme(scheme: Node) -> Row:
    detail = scheme.get("schemeDetail")
    isin = detail.get("isinNumber").word()
    name = detail.optional("nameData", lambda names: names.read("longName", Node.text))
    # No folio here: one ISIN may stand several times, for as many folios.
    figures = scheme.descend("enrichedAnalytics", "analytics", "schemeDetails")
    nav = detail.optional("nav", Node.money) or (
        figures and figures.optional("navValue", Node.money)
    )
    record = Holding(
        kind="mutual_fund",
        name=name or isin,
        isin=isin,
        institution=detail.optional("amc", Node.text) or None,
        quantity=figures.read("units", Node.number) if figures else None,
        last_price=nav.value if nav else None,
        value=figures.read("currentValue", Node.money) if figures else None,
        cost=figures.optional("investedValue", Node.money) if figures else None,
    )
    return ("fi/scheme", isin), record


def _accounts(bulk: Node) -> Rows:
    """Each account by its key in the map, the only stable identifier in all of Fi's data."""
    accounts = section(bulk, "accountDetailsMap").get("accountDetailsMap")
    return [] if accounts is None else accounts.entries(_account)


def _account(key: str, account: Node) -> Row:
    details = account.get("accountDetails")
    instrument = _text(details, "accInstrumentType")
    kind = _INSTRUMENTS.get(instrument.removeprefix("ACC_INSTRUMENT_TYPE_"), "other")
    value: Money | None = None
    as_of: date | None = None
    for name, (amount_field, summary_kind) in _SUMMARIES.items():
        summary = account.find(name)
        if summary is None:
            continue
        kind = summary_kind
        if _text(summary, "depositAccountType") in _SAVINGS:
            kind = "savings"
        value = summary.read(amount_field, Node.money)
        as_of = summary.optional("balanceDate", Node.day_or_instant)
    if kind == "liability" and value is not None:
        value = _unsigned(value)
    bank = details.optional("fipMeta", lambda meta: _text(meta, "name"))
    institution = bank or details.optional("fipId", Node.text)
    masked = details.optional("maskedAccountNumber", Node.text)
    record = Holding(
        kind=kind,
        name=" ".join(part for part in (institution, masked) if part) or "Account",
        institution=institution or None,
        value=value,
        as_of=as_of,
    )
    return ("fi/account", key), record


def provident_fund(document: Node) -> list[Item]:
    """`fetch_epf_details`: an account each, with its overall balance. Amounts are rupees as text.

    There is no account number. The first employment is what stays the same as more follow.
    """
    listed = section(document, "uanAccounts").values()
    return number_items([row for accounts in listed for row in accounts.rows(_provident_fund)])


def _provident_fund(account: Node) -> Row:
    raw = account.get("rawDetails")
    first = min(map(_employment, raw.find_each("est_details")), default=())
    balance = raw.descend("overall_pf_balance", "current_pf_balance")
    record = Holding(
        kind="epf",
        name="Employees' Provident Fund",
        institution="EPFO",
        value=None if balance is None else Money(balance.number_text(), "INR"),
    )
    return ("fi/epf", *first), record


def _employment(employer: Node) -> tuple[str, str, str]:
    """When it began (sortable, unknown last), the employer and the masked member number."""
    begun = _text(employer, "doj_epf")  # DD-MM-YYYY or NOT AVAILABLE
    day, _, rest = begun.partition("-")
    month, _, year = rest.partition("-")
    sortable = f"{year}-{month}-{day}" if year.isdigit() else "unknown"
    return sortable, _text(employer, "est_name"), _text(employer, "member_id")


def _text(node: Node, name: str) -> str:
    return node.read(name, Node.text) or ""


def _unsigned(amount: Money) -> Money:
    return Money(amount.value.copy_abs(), amount.currency)


def _readable(attribute: str) -> str:
    """`ASSET_TYPE_SAVINGS_ACCOUNTS` as `Savings accounts`, `ASSET_TYPE_EPF` as `EPF`."""
    bare = attribute.removeprefix("LIABILITY_TYPE_").removeprefix("ASSET_TYPE_")
    words = [word if word in _ACRONYMS else word.lower() for word in bare.split("_")]
    text = " ".join(word for word in words if word)
    return text[:1].upper() + text[1:] or "Total"
