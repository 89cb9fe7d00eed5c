"""Names of the commands of `finlink` and of their options, derived from names in the contract.

UserService.GetUser              users show          Get of the service's noun shows it
UserService.ListUsers            users list          other verbs stand as they are
ConnectorService.ListRecords     connectors records  reads of another noun are that noun
UserService.UpdateUserProfile    users update-profile
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_READS = ("Get", "List")
_COUNTS = ("Batch", "Bulk")
_IDENTIFIER = ("id", "ids")


def words(name: str) -> list[str]:
    """`AuditEvents` and `audit_events` in words, lower case."""
    return [word.lower() for word in _WORD.findall(name)]


def plural(word: str) -> str:
    if re.search(r"[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    return f"{word}es" if re.search(r"(s|x|z|ch|sh)$", word) else f"{word}s"


def singular(word: str) -> str:
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    if re.search(r"(ss|x|z|ch|sh|[^a]us)es$", word):
        return word[:-2]
    return word[:-1] if re.search(r"[^su]s$", word) else word


def without(noun: Sequence[str], name: Sequence[str]) -> list[str]:
    """The words of a name without the noun, singular or plural, that it begins or ends with."""
    for form in (list(noun), [*noun[:-1], plural(noun[-1])]):
        if list(name[: len(form)]) == form:
            return list(name[len(form) :])
        if list(name[-len(form) :]) == form:
            return list(name[: -len(form)])
    return list(name)


def group(service: str, methods: Sequence[str]) -> str:
    """The group of a service's commands: its noun, in the plural if an RPC uses that."""
    noun = words(service.removesuffix("Service"))
    many = [*noun[:-1], plural(noun[-1])]
    if any(words(method)[-len(many) :] == many for method in methods):
        return "-".join(many)
    return "-".join(noun)


def command(service: str, method: str) -> str:
    """The command of an RPC within its group."""
    first, *rest = _WORD.findall(method)
    verb = [first, rest.pop(0)] if first in _COUNTS and len(rest) > 1 else [first]
    noun = without(words(service.removesuffix("Service")), [word.lower() for word in rest])
    if first in _READS and noun:
        return "-".join(noun)
    if first == "Get":
        return "show"
    return "-".join([*(word.lower() for word in verb), *noun])


def option_names(path: Sequence[str], noun: Sequence[str], *, repeated: bool) -> list[str]:
    """Possible names for the option of a field, in order of preference."""
    *outer, field = path
    if field == "value" and outer:  # an amount is named after the field that has it
        *outer, field = outer
    full = field.split("_")
    if repeated:
        full[-1] = singular(full[-1])
    short = without(noun, full) or full
    if short[-1] in _IDENTIFIER:
        short = full[:-1] or list(noun)
    dotted = ".".join("-".join(part.split("_")) for part in (*outer, field))
    parts = dotted.split(".")
    longer = [".".join(parts[start:]) for start in range(len(parts) - 2, -1, -1)]
    names = ("-".join(short), "-".join(full), *longer, "-".join([*noun, *full]))
    return list(dict.fromkeys(names))
