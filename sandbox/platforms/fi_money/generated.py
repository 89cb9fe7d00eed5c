"""Fi data invented from the seed, the phone number (or any other login) and the day."""

import json
from datetime import date
from typing import Any

from sandbox.clock import Clock
from sandbox.platforms.fi_money import bank, credit, funds, stocks
from sandbox.platforms.fi_money.net_worth import net_worth
from sandbox.platforms.fi_money.parts import Household
from sandbox.platforms.fi_money.persona import Persona, persona_of


class GeneratedFiData:
    def __init__(self, seed: int, clock: Clock) -> None:
        self._seed = seed
        self._clock = clock

    def read(self, tool: str, phone: str) -> str:
        persona = persona_of(self._seed, phone)
        return json.dumps(self._document(tool, phone, persona, self._clock.today()))

    def _document(self, tool: str, phone: str, persona: Persona, today: date) -> dict[str, Any]:
        """Absent data is an empty object, never an empty list (Fi MCP dev server behaviour)."""
        document: dict[str, Any] = {}
        match tool:
            case "fetch_net_worth" if persona.broken_net_worth:
                document = credit.credit_report(self._seed, phone, today)
            case "fetch_net_worth":
                document = self._net_worth(phone, persona, today)
            case "fetch_bank_transactions" if persona.bank_accounts:
                document = bank.bank_transactions(self._seed, phone, persona.bank_accounts, today)
            case "fetch_stock_transactions" if persona.stocks:
                document = stocks.stock_transactions(self._seed, phone, persona.stocks)
            case "fetch_mf_transactions":
                document = self._mf_transactions(phone, persona, today)
            case "fetch_credit_report" if persona.credit_report:
                document = credit.credit_report(self._seed, phone, today)
            case "fetch_epf_details" if persona.epf_accounts:
                document = credit.epf_details(self._seed, phone, persona.epf_accounts)
        return document

    def _mf_transactions(self, phone: str, persona: Persona, today: date) -> dict[str, Any]:
        held = funds.folios(self._seed, phone, persona.funds, today)
        if not held:
            # Here alone the description stays when the data is absent (Fi sample data).
            return {"schemaDescription": funds.SCHEMA}
        if persona.older_fund_shape:
            return funds.older_mf_transactions(held)
        return funds.mf_transactions(held)

    def _net_worth(self, phone: str, persona: Persona, today: date) -> dict[str, Any]:
        held = funds.folios(self._seed, phone, persona.funds, today)
        jobs = credit.jobs(self._seed, phone, persona.epf_accounts)
        parts = Household(self._seed, phone, persona, today).parts(held, jobs)
        return net_worth(self._seed, parts, held, today, persona.liabilities_among_assets)
