"""The tools of Fi, and what a source of their replies has to offer."""

from typing import Protocol

TOOLS = {
    "fetch_net_worth": "The user's assets, liabilities and net worth.",
    "fetch_credit_report": "The user's credit report.",
    "fetch_epf_details": "The user's provident fund accounts.",
    "fetch_mf_transactions": "The user's mutual fund transactions.",
    "fetch_bank_transactions": "The user's bank transactions.",
    "fetch_stock_transactions": "The user's stock transactions.",
}

NOTHING = "{}"


class FiData(Protocol):
    def read(self, tool: str, phone: str) -> str:
        """The JSON document, as text, that `tool` replies with."""
