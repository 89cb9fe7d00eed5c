"""Fi's `fetch_net_worth` and `fetch_epf_details` to holdings. Pure.

Shapes as observed on the Fi MCP dev server. The same money is reported on several levels (a total,
the accounts in it, the schemes in those): each level is kept, under kinds of its own.
"""

from collections.abc import Iterator
from datetime import date

from finlink_words import HoldingKind

from server.platforms.document import Node
from server.platforms.fi_money.items import section
from server.platforms.identity import Part, number_items
from server.platforms.records import Holding, Item, Money

Rows = Iterator[tuple[tuple[Part, ...], Holding]]

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
    readers = {
        "netWorthResponse": _totals,
        "mfSchemeAnalytics": _schemes,
        "accountDetailsBulkResponse": _accounts,
    }
    found = section(document, *readers)
    return number_items(row for name, node in found.items() for row in readers[name](node))


def _totals(totals: Node) -> Rows:
    """Liabilities stand in either list, negative among the assets: the name says which it is."""
    if totals.as_object() and totals.find("assetValues") is None:
        # A user with debts alone still has a grand total; anything else is another document.
        totals.get("totalNetWorthValue").money()
    for name, otherwise_owed in (("assetValues", False), ("liabilityValues", True)):
        for total in totals.find_each(name):
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
            yield ("fi/total", attribute), record


def _schemes(analytics: Node) -> Rows:
    schemes = section(analytics, "schemeAnalytics").get("schemeAnalytics")
    for scheme in [] if schemes is None else schemes.each():
        detail = scheme.get("schemeDetail")
        isin = detail.get("isinNumber").word()
        name = detail.descend("nameData", "longName")
        # No folio here: one ISIN may stand several times, for as many folios.
        figures = scheme.descend("enrichedAnalytics", "analytics", "schemeDetails")
        nav = detail.find("nav") or (figures and figures.find("navValue"))
        record = Holding(
            kind="mutual_fund",
            name=isin if name is None else name.text() or isin,
            isin=isin,
            institution=detail.read("amc", Node.text) or None,
            quantity=figures.read("units", Node.number) if figures else None,
            last_price=None if nav is None else nav.money().value,
            value=figures.read("currentValue", Node.money) if figures else None,
        )
        yield ("fi/scheme", isin), record


def _accounts(bulk: Node) -> Rows:
    """Each account by its key in the map, the only stable identifier in all of Fi's data."""
    accounts = section(bulk, "accountDetailsMap").get("accountDetailsMap")
    for key, account in [] if accounts is None else accounts.members():
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
            as_of = summary.read("balanceDate", Node.day_or_instant)
        if kind == "liability" and value is not None:
            value = _unsigned(value)
        meta = details.find("fipMeta")
        institution = ("" if meta is None else _text(meta, "name")) or _text(details, "fipId")
        masked = _text(details, "maskedAccountNumber")
        record = Holding(
            kind=kind,
            name=f"{institution} {masked}".strip() or "Account",
            institution=institution or None,
            value=value,
            as_of=as_of,
        )
        yield ("fi/account", key), record


def provident_fund(document: Node) -> list[Item]:
    """`fetch_epf_details`: an account each, with its overall balance. Amounts are rupees as text.

    There is no account number. The first employment is what stays the same as more follow.
    """
    rows = []
    for accounts in section(document, "uanAccounts").values():
        for account in accounts.each():
            raw = account.get("rawDetails")
            first = min(map(_employment, raw.find_each("est_details")), default=())
            balance = raw.descend("overall_pf_balance", "current_pf_balance")
            record = Holding(
                kind="epf",
                name="Employees' Provident Fund",
                institution="EPFO",
                value=None if balance is None else Money(balance.number_text(), "INR"),
            )
            rows.append((("fi/epf", *first), record))
    return number_items(rows)


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
