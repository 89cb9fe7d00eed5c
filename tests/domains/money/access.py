"""Who may make each call of money; see `tests/contract/access_table.py`."""

from __future__ import annotations

CLOSED = {
    "RateService": {
        "GetExchangeRates": "read own staff",
        "UpdateExchangeRates": "admin admin",
    },
}
