"""Kite data invented from the seed, the user id and the day."""

from collections.abc import Callable
from typing import Any

from sandbox.clock import Clock
from sandbox.platforms.zerodha import funds, portfolio
from sandbox.platforms.zerodha.orders import orders_and_trades
from sandbox.randomness import seeded_random

_FIRST_NAMES = ["Mira", "Arjun", "Kavya", "Rohan", "Anita", "Vikram", "Leela", "Sanjay"]
_LAST_NAMES = ["Rao", "Iyer", "Deshmukh", "Bose", "Nair", "Chauhan", "Kulkarni", "Sethi"]


class GeneratedKiteData:
    def __init__(self, seed: int, clock: Clock) -> None:
        self._seed = seed
        self._clock = clock
        self._calls: dict[str, Callable[[str], Any]] = {
            "profile": self.user,
            "margins": self._margins,
            "holdings": self._holdings,
            "positions": self._positions,
            "orders": self._orders,
            "trades": self._trades,
            "mf_holdings": self._mf_holdings,
            "mf_orders": self._mf_orders,
            "mf_sips": self._mf_sips,
        }

    def user(self, user_id: str) -> dict[str, Any]:
        rng = seeded_random(self._seed, "user", user_id)
        first, last = rng.choice(_FIRST_NAMES), rng.choice(_LAST_NAMES)
        return {
            "user_id": user_id,
            "user_type": "individual",
            "email": f"{first}.{last}@example.test".lower(),
            "user_name": f"{first} {last}",
            "user_shortname": first,
            "broker": "ZERODHA",
            "exchanges": ["NSE", "BSE", "NFO", "MF"],
            "products": ["CNC", "NRML", "MIS"],
            "order_types": ["MARKET", "LIMIT", "SL", "SL-M"],
            "avatar_url": None,
            "meta": {"demat_consent": rng.choice(["consent", "physical", ""])},
        }

    def read(self, call: str, user_id: str) -> Any:
        return self._calls[call](user_id)

    def _margins(self, user_id: str) -> Any:
        return portfolio.margins(self._seed, user_id, self._clock.today())

    def _holdings(self, user_id: str) -> Any:
        return portfolio.holdings(self._seed, user_id, self._clock.today())

    def _positions(self, user_id: str) -> Any:
        day = self._clock.session_day()
        return portfolio.positions(self._seed, user_id, day, self._trades(user_id))

    def _orders(self, user_id: str) -> Any:
        return orders_and_trades(self._seed, user_id, self._clock.session_day())[0]

    def _trades(self, user_id: str) -> Any:
        return orders_and_trades(self._seed, user_id, self._clock.session_day())[1]

    def _mf_holdings(self, user_id: str) -> Any:
        return funds.mf_holdings(self._seed, user_id, self._clock.today())

    def _mf_orders(self, user_id: str) -> Any:
        return funds.mf_orders(self._seed, user_id, self._clock.session_day())

    def _mf_sips(self, user_id: str) -> Any:
        return funds.mf_sips(self._seed, user_id, self._clock.session_day())
