"""Invented companies and funds, shared by both platforms so that their ISINs meet."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stock:
    isin: str
    symbol: str
    name: str
    price: float
    token: int


@dataclass(frozen=True)
class Fund:
    isin: str
    name: str
    amc: str
    asset_class: str
    category: str
    risk: str
    nav: float


def with_check_digit(body: str) -> str:
    """Complete the first eleven characters of an ISIN (ISO 6166: Luhn over base-36 digits)."""
    digits = "".join(str(int(character, 36)) for character in body)
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if position % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return f"{body}{-total % 10}"


_COMPANIES = [
    ("SAHYSTEEL", "Sahyadri Steel Limited", 412.6),
    ("KAVERICEM", "Kaveri Cement Limited", 1875.35),
    ("NILGIRITEA", "Nilgiri Tea Estates Limited", 238.9),
    ("ARAVALLI", "Aravalli Minerals Limited", 96.45),
    ("GODAPHARMA", "Godavari Pharma Limited", 1240.0),
    ("KONARKTEX", "Konark Textiles Limited", 64.7),
    ("MALABARFIN", "Malabar Finance Limited", 733.15),
    ("DECCANAUTO", "Deccan Auto Components Limited", 2890.5),
    ("VINDHYAPOW", "Vindhya Power Limited", 155.25),
    ("NARMADAGAS", "Narmada Gas Limited", 318.4),
    ("COROMANCHM", "Coromandel Coast Chemicals Limited", 528.05),
    ("CHAMBALAGR", "Chambal Agro Limited", 187.6),
    ("SUNDARPORT", "Sundarban Ports Limited", 1044.9),
    ("LADAKHSOL", "Ladakh Solar Limited", 72.35),
    ("BRAHMATEL", "Brahmaputra Telecom Limited", 905.75),
    ("THARLOGIST", "Thar Logistics Limited", 349.2),
    ("GANGAFOODS", "Ganga Foods Limited", 611.8),
    ("HAMPIHOTEL", "Hampi Hotels Limited", 143.55),
    ("JHELUMBANK", "Jhelum Bank Limited", 1512.4),
    ("KUMAONPAPR", "Kumaon Paper Limited", 88.1),
    ("MAHANADIEN", "Mahanadi Engineering Limited", 2217.0),
    ("PERIYARSW", "Periyar Software Limited", 3402.65),
    ("SATPURAWIR", "Satpura Wires Limited", 476.3),
    ("TUNGABEV", "Tungabhadra Beverages Limited", 1698.2),
    ("ZANSKARINS", "Zanskar Insurance Limited", 564.45),
    ("BHIMAPIPES", "Bhima Pipes Limited", 129.95),
    ("CHILIKASEA", "Chilika Seafoods Limited", 251.1),
    ("DAMODARCOL", "Damodar Coal Limited", 207.85),
]

STOCKS = [
    Stock(with_check_digit(f"INE9{number:02}Z0101"), symbol, name, price, 900_000 + number * 256)
    for number, (symbol, name, price) in enumerate(_COMPANIES, start=1)
]

_SCHEMES = [
    ("Sahyadri Flexi Cap Fund", "SAHYADRI", "EQUITY", "FLEXI_CAP", "VERY_HIGH_RISK", 68.2145),
    ("Sahyadri Liquid Fund", "SAHYADRI", "CASH", "LIQUID", "LOW_RISK", 2941.7703),
    ("Kaveri Nifty 50 Index Fund", "KAVERI", "EQUITY", "INDEX_FUNDS", "VERY_HIGH_RISK", 187.334),
    ("Kaveri Gilt Fund", "KAVERI", "DEBT", "GOVERNMENT_BOND", "MODERATE_RISK", 74.0921),
    ("Nilgiri Small Cap Fund", "NILGIRI", "EQUITY", "SMALL_CAP", "VERY_HIGH_RISK", 142.8868),
    ("Nilgiri Balanced Fund", "NILGIRI", "HYBRID", "BALANCED_ADVANTAGE", "HIGH_RISK", 51.6027),
    ("Godavari ELSS Tax Saver", "GODAVARI", "EQUITY", "ELSS", "VERY_HIGH_RISK", 96.441),
    ("Godavari Gold Savings Fund", "GODAVARI", "COMMODITY", "GOLD", "HIGH_RISK", 27.9184),
    ("Deccan Midcap Fund", "DECCAN", "EQUITY", "MID_CAP", "VERY_HIGH_RISK", 211.0556),
    ("Deccan Overnight Fund", "DECCAN", "CASH", "OVERNIGHT", "LOW_RISK", 1288.4302),
]

FUNDS = [
    Fund(
        with_check_digit(f"INF9{number:02}Z0102"),
        f"{name} - Direct Plan - Growth",
        amc,
        asset_class,
        category,
        risk,
        nav,
    )
    for number, (name, amc, asset_class, category, risk, nav) in enumerate(_SCHEMES, start=1)
]

ETFS = [
    (with_check_digit("INF951Z0104"), "KAVERI ETF NIFTY 50", 262.4),
    (with_check_digit("INF952Z0104"), "SAHYADRI ETF GOLD", 74.15),
]

GOLD_BONDS = [
    (with_check_digit("IN002021901"), "SGB 2.50% JAN 2030 - SR VIII"),
    (with_check_digit("IN002020907"), "SGB 2.50% SEP 2028 - SR VI"),
]
