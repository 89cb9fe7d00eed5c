"""Bank statements of about two months, written a calendar month at a time.

A month is decided by the seed, the login and the account, and ends with a transfer that puts the
balance back where it began. So months do not depend on each other, and a row once served stays
as it is while the window moves on.
"""

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sandbox.randomness import seeded_random

WINDOW = timedelta(days=60)

CREDIT, DEBIT, INTEREST, TDS, INSTALMENT = 1, 2, 4, 5, 6
_ADDS = {CREDIT, INTEREST}

SCHEMA = (
    "A list of bank transactions. Each 'txns' entry is an array of: amount, narration, date, type"
    " (1 CREDIT, 2 DEBIT, 3 OPENING, 4 INTEREST, 5 TDS, 6 INSTALLMENT, 7 CLOSING, 8 OTHERS),"
    " mode, balance. Only the last two months are listed."
)

_BANKS = ["Konkan Bank", "Sahyadri Bank", "Kaveri Cooperative Bank", "Jhelum Bank", "Nila Bank"]

# Everyday payments: narration, mode, least and most rupees.
_SPENDING = [
    ("UPI-GREENLEAF GROCERS-GREENLEAF@KONKAN", "OTHERS", 120, 2400),
    ("UPI-METRO CABS-METROCABS@SAHYADRI", "OTHERS", 80, 650),
    ("UPI-CHAI POINT-CHAI@KAVERI", "OTHERS", 30, 240),
    ("POS 4XXX1187 NILA BOOKS", "CARD_PAYMENT", 250, 3200),
    ("POS 4XXX1187 SUNDAR FUELS", "CARD_PAYMENT", 500, 3500),
    ("ATM WDL SECTOR 9", "ATM", 500, 10000),
    ("BIL/ONL/CITY ELECTRICITY", "BILLPAY", 600, 4200),
    ("IMPS-RENT SHARE-ROHAN", "IMPS", 4000, 12000),
    ("ACH D-SAHYADRI FLEXI CAP FUND", "ACH", 1000, 5000),
    ("SMS ALERT CHARGES", "CHARGES", 15, 60),
]


@dataclass(frozen=True)
class Account:
    bank: str
    number: int  # among all accounts of the login
    opening: int


def accounts(seed: int, phone: str, count: int) -> list[Account]:
    """Several accounts may be at one bank, as nothing on the wire distinguishes them."""
    rng = seeded_random(seed, "accounts", phone)
    return [
        Account(_BANKS[number // 2], number, rng.randrange(2_000, 150_000))
        for number in range(count)
    ]


def bank_transactions(seed: int, phone: str, count: int, today: date) -> dict[str, Any]:
    return {
        "schemaDescription": SCHEMA,
        "bankTransactions": [
            {"bank": account.bank, "txns": _listed(seed, phone, account, today)}
            for account in accounts(seed, phone, count)
        ],
    }


def balance(seed: int, phone: str, account: Account, today: date) -> int:
    """The balance by the account's newest row."""
    rows = _window(seed, phone, account, today)
    return int(rows[-1][5]) if rows else account.opening


def _listed(seed: int, phone: str, account: Account, today: date) -> list[list[Any]]:
    """The platform promises no order: newest first, oldest first or mixed, by account."""
    rows = _window(seed, phone, account, today)
    match account.number % 3:
        case 0:
            return rows[::-1]
        case 1:
            return rows
        case _:
            return sorted(rows, key=lambda row: seeded_random(*row).random())


def _window(seed: int, phone: str, account: Account, today: date) -> list[list[Any]]:
    first = today - WINDOW
    months = []
    month = first.replace(day=1)
    while month <= today:
        months.append(month)
        month = (month + timedelta(days=31)).replace(day=1)
    rows = [row for month in months for row in _month(seed, phone, account, month)]
    return [row for row in rows if str(first) <= row[2] <= str(today)]


def _month(seed: int, phone: str, account: Account, month: date) -> list[list[Any]]:
    rng = seeded_random(seed, "bank", phone, account.number, f"{month:%Y-%m}")
    last_day = calendar.monthrange(month.year, month.month)[1]
    entries = [
        (
            rng.randint(1, last_day - 1),
            DEBIT,
            f"{narration}-{rng.randrange(10**12):012}",
            mode,
            rng.randint(low, high),
        )
        for narration, mode, low, high in rng.choices(_SPENDING, k=rng.randint(5, 11))
    ]
    if account.number == 0:
        entries.append((1, CREDIT, "SALARY CREDIT-KONARK SOFTWARE", "NEFT", 85_000))
        entries.append((5, INSTALMENT, "EMI-MALABAR FINANCE-LN0042", "ACH", 12_500))
    else:
        reference = f"IMPS-FROM SAVINGS-{rng.randrange(10**12):012}"
        entries.append((2, CREDIT, reference, "IMPS", rng.randrange(5_000, 25_000)))
    interest = rng.randint(40, 900)
    entries.append((last_day - 1, INTEREST, "CREDIT INTEREST CAPITALISED", "INTEREST", interest))
    if interest > 600:
        entries.append((last_day - 1, TDS, "TDS ON INTEREST", "OTHERS", interest // 10))
    entries.sort(key=lambda entry: entry[0])

    left = account.opening
    rows: list[list[Any]] = []
    for day, kind, narration, mode, amount in entries:
        left += amount if kind in _ADDS else -amount
        rows.append([str(amount), narration, f"{month.replace(day=day)}", kind, mode, str(left)])
    moved = left - account.opening
    if moved:
        kind, way = (DEBIT, "TO") if moved > 0 else (CREDIT, "FROM")
        end = f"{month.replace(day=last_day)}"
        rows.append(
            [str(abs(moved)), f"AUTO SWEEP {way} DEPOSIT", end, kind, "FT", str(account.opening)]
        )
    return rows
