"""The net worth document: totals by kind, funds with their returns, and every account."""

from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.platforms.fi_money.funds import Folio
from sandbox.platforms.fi_money.parts import Part, current_value
from sandbox.platforms.fi_money.values import money
from sandbox.randomness import price_on, seeded_random

_LIABILITY = "LIABILITY_TYPE_"

# Someone with nothing connected still sees what their Fi account holds.
ONLY_SAVINGS = 186_400


def net_worth(
    seed: int, parts: list[Part], held: list[Folio], today: date, liabilities_among_assets: bool
) -> dict[str, Any]:
    analytics = [_scheme(seed, folio, today) for folio in held]
    details = {part.account_id: _account(part) for part in parts}
    return {
        "netWorthResponse": _totals(parts, liabilities_among_assets),
        "mfSchemeAnalytics": {"schemeAnalytics": analytics} if analytics else {},
        "accountDetailsBulkResponse": {"accountDetailsMap": details} if details else {},
    }


def _totals(parts: list[Part], liabilities_among_assets: bool) -> dict[str, Any]:
    """Sums whole rupees, so that the total is exactly assets minus liabilities."""
    sums: dict[str, int] = {}
    for part in parts:
        sums[part.attribute] = sums.get(part.attribute, 0) + int(part.value)
    if not parts:
        sums["ASSET_TYPE_SAVINGS_ACCOUNTS"] = ONLY_SAVINGS
    owed = {name: value for name, value in sums.items() if name.startswith(_LIABILITY)}
    owned = {name: value for name, value in sums.items() if name not in owed}
    document: dict[str, Any] = {}
    if liabilities_among_assets:
        owned_and_owed = owned | {name: -value for name, value in owed.items()}
        document["assetValues"] = _lines(owned_and_owed)
    else:
        document["assetValues"] = _lines(owned)
        if owed:
            document["liabilityValues"] = _lines(owed)
    document["totalNetWorthValue"] = money(sum(owned.values()) - sum(owed.values()))
    return document


def _lines(values: dict[str, int]) -> list[dict[str, Any]]:
    return [{"netWorthAttribute": name, "value": money(value)} for name, value in values.items()]


def _account(part: Part) -> dict[str, Any]:
    name = part.provider.split()[0].upper()
    return {
        "accountDetails": {
            "fipId": f"{name}-FIP",
            "maskedAccountNumber": f"XXXXXX{part.account_id[-4:].upper()}",
            "accInstrumentType": f"ACC_INSTRUMENT_TYPE_{part.instrument}",
            **part.more_details,
            "fipMeta": {"name": part.provider, "displayName": part.provider},
        },
        part.summary_name: part.summary,
    }


def _scheme(seed: int, folio: Folio, today: date) -> dict[str, Any]:
    fund = folio.fund
    nav = money(price_on(seed, fund.isin, fund.nav, today))
    value = current_value(seed, folio, today)
    gain = money(Decimal(str(value)) - Decimal(str(folio.invested)))
    return {
        "schemeDetail": {
            "amc": fund.amc,
            "nameData": {"longName": fund.name.partition(" - ")[0]},
            "planType": "DIRECT",
            "investmentType": "OPEN",
            "optionType": "GROWTH",
            "nav": nav,
            "assetClass": fund.asset_class,
            "isinNumber": fund.isin,
            "categoryName": fund.category,
            "fundhouseDefinedRiskLevel": fund.risk,
        },
        "enrichedAnalytics": {
            "analytics": {
                "schemeDetails": {
                    "currentValue": money(value),
                    "investedValue": money(folio.invested),
                    "absoluteReturns": gain,
                    "unrealisedReturns": gain,
                    "navValue": nav,
                    "XIRR": seeded_random(seed, "xirr", folio.number).uniform(-8, 24),
                    "units": folio.units,
                }
            }
        },
    }
