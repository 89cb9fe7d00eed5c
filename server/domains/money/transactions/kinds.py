"""Kinds of transactions: the direction that follows from one, and the kind that follows from a category."""

from server.core.errors import InvalidRequest
from server.domains.money.transactions.model import Direction, Kind

DIRECTIONS: dict[Kind, Direction] = {"expense": "out", "income": "in", "refund": "in"}


def direction_of(kind: Kind, sent: Direction | None, otherwise: Direction | None) -> Direction:
    """The direction of a transaction of this kind; `otherwise` if it is free and not sent.

    Raises InvalidRequest naming `direction`.
    """
    fixed = DIRECTIONS.get(kind)
    if fixed is not None:
        if sent not in {None, fixed}:
            raise InvalidRequest.of("direction", f"must be {fixed}, as of each {kind}")
        return fixed
    found = sent or otherwise
    if found is None:
        raise InvalidRequest.of("direction", f"is required of kind {kind}")
    return found


def kind_for(kind: Kind, direction: Direction, category_type: str) -> Kind:
    """The kind of a transaction that is given a category of this type while no kind is sent.

    Money that came in and gets an expense category is a refund. Money that went out stays an expense, and a
    transfer what it is, so that a category that does not fit is refused.
    """
    if kind == "transfer":
        return kind
    if direction == "in":
        return "refund" if category_type == "expense" else "income"
    return "expense"
