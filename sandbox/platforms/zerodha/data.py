"""The data that a source of Kite data has."""

from typing import Any, Protocol

# Every call is named as its recorded file is, and replies with this when nothing is there.
EMPTY: dict[str, Any] = {
    "holdings": [],
    "positions": {"net": [], "day": []},
    "trades": [],
    "orders": [],
    "mf_holdings": [],
    "mf_orders": [],
    "mf_sips": [],
}


class KiteData(Protocol):
    def user(self, user_id: str) -> dict[str, Any]:
        """The account facts that open a session."""

    def read(self, call: str, user_id: str) -> Any:
        """The `data` of a successful reply to `call`."""
