"""Who was paid, by a bank's text, and the words that rows of one payee have in common."""

import re

# How something was paid, rather than who was.
_WAYS = frozenset({
    "ach", "atm", "bil", "bill", "card", "cash", "chq", "cr", "d", "debit", "credit", "dr", "ecs", "emi",
    "ft", "from", "imps", "inf", "ib", "mb", "nach", "neft", "nfs", "onl", "online", "p2a", "p2m", "payment",
    "paid", "pos", "purchase", "ref", "rtgs", "si", "to", "transfer", "trf", "txn", "upi", "wdl", "by", "via",
})  # fmt: skip
_SEPARATORS = re.compile(r"[-/|*:]+")
_REFERENCE = re.compile(r"\S*\d{3,}\S*|\S*\d[xX*]{2,}\S*|[xX*]{2,}\S*")
_LONGEST = 120


def payee_of(text: str) -> str | None:
    """The first part of a bank's text that names somebody; None if there is none."""
    for part in _SEPARATORS.split(text):
        if "@" in part:
            continue
        words = [each for each in _REFERENCE.sub(" ", part).split() if each.casefold() not in _WAYS]
        found = " ".join(words)
        if sum(each.isalpha() for each in found) >= 2:
            return found[:_LONGEST].strip()
    return None


def normal(payee: str) -> str:
    """Equal for what is the same payee."""
    return " ".join(payee.casefold().split())
