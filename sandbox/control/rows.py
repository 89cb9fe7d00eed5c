"""Changes to a document's rows, whatever the document."""

import math
from collections.abc import Callable, Collection
from typing import Any

Rows = list[Any]


def edit_rows(node: Any, edit: Callable[[Rows], Rows]) -> Any:
    """A copy of the document with every list of rows edited.

    Rows are objects or lists that hold no rows themselves: of a bank with its transactions, the
    transactions are edited and the bank stays.
    """
    if isinstance(node, dict):
        return {name: edit_rows(value, edit) for name, value in node.items()}
    if not isinstance(node, list):
        return node
    if _are_rows(node) and not any(_has_rows(row) for row in node):
        return edit(node)
    return [edit_rows(item, edit) for item in node]


def first_part(keep: float) -> Callable[[Any], Any]:
    return lambda document: edit_rows(document, lambda rows: rows[: math.ceil(len(rows) * keep)])


def repeat_some(document: Any) -> Any:
    """Every other row comes again, after all the others."""
    return edit_rows(document, lambda rows: rows + rows[::2])


def without(names: Collection[str]) -> Callable[[Any], Any]:
    """Leaves out the rows about instruments of these ISINs or symbols."""

    def edit(rows: Rows) -> Rows:
        return [row for row in rows if not _names_of(row) & set(names)]

    return lambda document: edit_rows(document, edit)


def _are_rows(node: list[Any]) -> bool:
    return bool(node) and all(isinstance(item, dict | list) for item in node)


def _has_rows(node: Any) -> bool:
    if isinstance(node, dict):
        return any(_has_rows(value) for value in node.values())
    if isinstance(node, list):
        return _are_rows(node) or any(_has_rows(item) for item in node)
    return False


def _names_of(row: Any) -> set[str]:
    if not isinstance(row, dict):
        return set()
    # Fi's net worth keeps a fund's ISIN one level down.
    facts = {**row.get("schemeDetail", {}), **row}
    keys = ("isin", "isinNumber", "tradingsymbol", "ticker")
    return {facts[key] for key in keys if isinstance(facts.get(key), str)}
