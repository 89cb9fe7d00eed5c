"""The kind of customer of a login: which data exists at all."""

from dataclasses import dataclass

from sandbox.randomness import seeded_random


@dataclass(frozen=True)
class Persona:
    """Counts of zero mean that the platform has nothing of the kind connected."""

    bank_accounts: int
    stocks: int
    funds: int
    epf_accounts: int
    credit_report: bool
    # Replies to fetch_mf_transactions in the older of its two published shapes.
    older_fund_shape: bool = False
    loans: int = 0
    # Lists liabilities among the assets, negative, instead of in a list of their own.
    liabilities_among_assets: bool = False
    # Replies to fetch_net_worth with a credit report, as one dev user does.
    broken_net_worth: bool = False


# The numbers of the Fi MCP dev server that are worth distinguishing.
_KNOWN = {
    "1111111111": Persona(0, 0, 0, 0, credit_report=False),
    "2222222222": Persona(3, 9, 4, 1, credit_report=True, loans=2),
    "4444444444": Persona(9, 9, 1, 2, credit_report=True, loans=1),
    "5555555555": Persona(9, 9, 1, 1, credit_report=False, older_fund_shape=True),
    "6666666666": Persona(0, 9, 4, 1, credit_report=True),
    "7777777777": Persona(2, 0, 2, 1, credit_report=True, loans=3, liabilities_among_assets=True),
    "8888888888": Persona(1, 0, 4, 1, credit_report=False, older_fund_shape=True),
    "2525252525": Persona(1, 0, 2, 0, credit_report=False, broken_net_worth=True),
}


def persona_of(seed: int, phone: str) -> Persona:
    """Logins without a part of their own get a well-connected one drawn."""
    known = _KNOWN.get(phone)
    if known is not None:
        return known
    rng = seeded_random(seed, "persona", phone)
    return Persona(
        bank_accounts=rng.randint(2, 5),
        stocks=rng.randint(6, 10),
        funds=rng.randint(2, 6),
        epf_accounts=rng.randint(1, 2),
        credit_report=rng.random() < 0.8,
        older_fund_shape=rng.random() < 0.25,
        loans=rng.randint(0, 3),
        liabilities_among_assets=rng.random() < 0.4,
    )
