"""The parts of a net worth: what a customer owns and owes, account by account."""

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sandbox.instruments import ETFS, GOLD_BONDS
from sandbox.platforms.fi_money.bank import accounts, balance
from sandbox.platforms.fi_money.credit import epf_balance
from sandbox.platforms.fi_money.funds import Folio
from sandbox.platforms.fi_money.persona import Persona
from sandbox.platforms.fi_money.stocks import stock_histories
from sandbox.platforms.fi_money.values import money
from sandbox.randomness import price_on, seeded_random

_LOANS = [
    ("CREDIT_CARD", "CREDIT_CARD", "Sahyadri Bank", 8_000, 90_000),
    ("HOME_LOAN", "LOAN", "Malabar Finance", 400_000, 3_000_000),
    ("VEHICLE_LOAN", "LOAN", "Konkan Bank", 50_000, 600_000),
]
_US_SHARES = [("ORCD", "Orchard Devices Inc.", 214.5), ("NWND", "Northwind Cloud Corp.", 431.0)]


@dataclass(frozen=True)
class Part:
    """One account. `attribute` is its line in the net worth; owed amounts are positive too."""

    account_id: str
    attribute: str
    value: float
    instrument: str
    provider: str
    summary_name: str
    summary: dict[str, Any] = field(default_factory=dict)
    more_details: dict[str, Any] = field(default_factory=dict)


class Household:
    """Builds the parts of one login; every account id comes from the seed and the login."""

    def __init__(self, seed: int, phone: str, persona: Persona, today: date) -> None:
        self._seed = seed
        self._phone = phone
        self._persona = persona
        self._today = today

    def parts(self, held: list[Folio], jobs: list[dict[str, Any]]) -> list[Part]:
        found = [*self._deposits()]
        if held:
            found.append(self._mutual_funds(held))
        if jobs:
            found.append(self._provident_fund(epf_balance(jobs)))
        if self._persona.stocks:
            found += [
                self._equities(),
                self._etfs(),
                self._gold_bonds(),
                self._us_shares(),
            ]
        return [*found, *self._loans()]

    def _deposits(self) -> Iterator[Part]:
        for account in accounts(self._seed, self._phone, self._persona.bank_accounts):
            rng, account_id = self._account("deposit", account.number)
            kind = "SAVINGS" if account.number % 3 != 2 else "CURRENT"
            left = balance(self._seed, self._phone, account, self._today)
            summary = {
                "accountId": account_id,
                "currentBalance": money(left),
                "balanceDate": f"{self._today}T00:00:00Z",
                "depositAccountType": f"DEPOSIT_ACCOUNT_TYPE_{kind}",
                "depositAccountStatus": "DEPOSIT_ACCOUNT_STATUS_ACTIVE",
            }
            if account.number % 2 == 0:
                # The rest of the summary is missing for some accounts (Fi sample data).
                summary |= {"branch": "Koramangala", "openingDate": "2019-07-08T00:00:00Z"}
            yield Part(
                account_id,
                "ASSET_TYPE_SAVINGS_ACCOUNTS",
                left,
                "DEPOSIT",
                account.bank,
                "depositSummary",
                summary,
                {
                    "ifscCode": f"SNDB0{rng.randrange(10**6):06}",
                    "accountType": {"depositAccountType": f"DEPOSIT_ACCOUNT_TYPE_{kind}"},
                },
            )

    def _mutual_funds(self, held: list[Folio]) -> Part:
        _, account_id = self._account("mutual funds")
        value = sum(current_value(self._seed, folio, self._today) for folio in held)
        return Part(
            account_id,
            "ASSET_TYPE_MUTUAL_FUND",
            value,
            "MUTUAL_FUNDS",
            "CAMS",
            "mutualFundSummary",
            {
                "currentValue": money(value),
                "holdingsInfo": [
                    {"isin": folio.fund.isin, "folioNumber": folio.number} for folio in held
                ],
            },
        )

    def _provident_fund(self, value: int) -> Part:
        _, account_id = self._account("provident fund")
        summary = {"accountId": account_id, "currentBalance": money(value)}
        return Part(account_id, "ASSET_TYPE_EPF", value, "EPF", "EPFO", "epfSummary", summary)

    def _equities(self) -> Part:
        _, account_id = self._account("equities")
        holdings = []
        value = 0.0
        for history in stock_histories(self._seed, self._phone, self._persona.stocks):
            stock = history.stock
            price = price_on(self._seed, stock.isin, stock.price, self._today)
            value += price * history.units
            holdings.append(
                {
                    "isin": stock.isin,
                    "issuerName": stock.name.upper(),
                    "type": "EQUITY_HOLDING_TYPE_DEMAT",
                    "units": history.units,
                    "lastTradedPrice": money(price),
                    "isinDescription": f"{stock.symbol}-EQ",
                }
            )
        return Part(
            account_id,
            "ASSET_TYPE_INDIAN_SECURITIES",
            value,
            "EQUITIES",
            "NSDL",
            "equitySummary",
            {"accountId": account_id, "currentValue": money(value), "holdingsInfo": holdings},
            {"accountType": {"equityAccountType": "EQUITY_ACCOUNT_TYPE_DEFAULT_TYPE"}},
        )

    def _etfs(self) -> Part:
        rng, account_id = self._account("etf")
        holdings = []
        value = 0.0
        for isin, name, base in ETFS:
            units, nav = rng.randint(20, 300), price_on(self._seed, isin, base, self._today)
            value += units * nav
            holdings.append(
                {"isin": isin, "units": units, "nav": money(nav), "isinDescription": name}
            )
        summary = {"currentValue": money(value), "holdingsInfo": holdings}
        return Part(account_id, "ASSET_TYPE_ETF", value, "ETF", "NSDL", "etfSummary", summary)

    def _gold_bonds(self) -> Part:
        rng, account_id = self._account("gold bonds")
        holdings = [
            {"isin": isin, "description": name, "units": rng.randint(5, 50)}
            for isin, name in GOLD_BONDS
        ]
        value = 7_000 * sum(int(str(holding["units"])) for holding in holdings)
        summary = {"currentValue": money(value), "holdingsInfo": holdings}
        return Part(account_id, "ASSET_TYPE_SGB", value, "SGB", "NSDL", "sgbSummary", summary)

    def _us_shares(self) -> Part:
        rng, _ = self._account("us shares")
        holdings: list[dict[str, Any]] = []
        value = 0.0
        for ticker, name, dollars in _US_SHARES:
            units = rng.randint(1, 12)
            value += units * dollars * 85
            holdings.append(
                {
                    "ticker": ticker,
                    "issuerName": name,
                    "units": units,
                    "lastTradedPrice": money(dollars, "USD"),
                }
            )
        return Part(
            # Not every account id is a uuid (Fi sample data).
            "us-shares-1",
            "ASSET_TYPE_US_SECURITIES",
            value,
            "US_SECURITIES",
            "Harbour Brokerage",
            "equitySummary",
            {"currentValue": money(value), "holdingsInfo": holdings},
        )

    def _loans(self) -> Iterator[Part]:
        for name, instrument, lender, least, most in _LOANS[: self._persona.loans]:
            rng, account_id = self._account("loan", name)
            owed = rng.randrange(least, most)
            summary: dict[str, Any]
            if instrument == "CREDIT_CARD":
                summary_name = "creditCardSummary"
                summary = {"currentBalance": money(owed), "creditLimit": money(most * 2)}
            else:
                summary_name = "loanSummary"
                summary = {
                    "accountId": account_id,
                    "currentOutstanding": money(owed),
                    "originalLoanAmount": money(most),
                    "loanStatus": "LOAN_STATUS_ACTIVE",
                    "amountPastDue": money(rng.choice([0, 0, 2_500])),
                }
            yield Part(
                account_id,
                f"LIABILITY_TYPE_{name}",
                owed,
                instrument,
                lender,
                summary_name,
                summary,
            )

    def _account(self, *words: object) -> tuple[random.Random, str]:
        rng = seeded_random(self._seed, "account", self._phone, *words)
        return rng, str(uuid.UUID(int=rng.getrandbits(128), version=4))


def current_value(seed: int, folio: Folio, today: date) -> float:
    return folio.units * price_on(seed, folio.fund.isin, folio.fund.nav, today)
