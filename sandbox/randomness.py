"""Repeatable randomness: the same words always give the same numbers."""

import random
from datetime import date


def seeded_random(*words: object) -> random.Random:
    """A generator decided by `words` alone, whatever else was drawn before."""
    return random.Random("/".join(str(word) for word in words))  # noqa: S311


def price_on(seed: int, isin: str, base: float, day: date) -> float:
    """The price of an instrument on a day: within 2% of its base, in steps of five paise."""
    change = seeded_random(seed, "price", isin, day).uniform(-0.02, 0.02)
    return round(round(base * (1 + change) / 0.05) * 0.05, 2)
