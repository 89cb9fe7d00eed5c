"""Rules of the two levels of categories."""

from collections.abc import Iterable, Sequence

from finlink_words import CATEGORY_TYPES

from server.core.errors import InvalidRequest
from server.domains.money.categories.errors import CategoryNotFound
from server.domains.money.categories.model import Category, StoredCategory


def found(
    known: Iterable[StoredCategory], category_id: str, field: str | None = None
) -> StoredCategory:
    """Raises CategoryNotFound; `field` is the one that names it, if that is not the path."""
    wanted = category_id.lower()
    for each in known:
        if each.id == wanted:
            return each
    raise CategoryNotFound if field is None else CategoryNotFound.about(field)


def below(known: Iterable[StoredCategory], category_id: str) -> list[StoredCategory]:
    return [each for each in known if each.parent_id == category_id]


def check_parent(known: Sequence[StoredCategory], category: Category) -> None:
    """Raises CategoryNotFound, and InvalidRequest naming `parentId`, unless it may be where it says."""
    if category.parent_id is None:
        return
    parent = found(known, category.parent_id, "parentId")
    if parent.id == category.id:
        raise InvalidRequest.of("parentId", "must be another category")
    if parent.type != category.type:
        raise InvalidRequest.of("parentId", f"must be a category of the type {category.type}")
    if parent.parent_id is not None:
        raise InvalidRequest.of("parentId", "must be of the first level: there are two")
    if below(known, category.id):
        raise InvalidRequest.of("parentId", "must be left out: the category has others below it")


def successor(
    known: Sequence[StoredCategory], gone: StoredCategory, category_id: str
) -> StoredCategory:
    """The category to take another's place. Raises CategoryNotFound, and InvalidRequest for `moveTo`."""
    into = found(known, category_id, "moveTo")
    if gone.id in {into.id, into.parent_id}:
        raise InvalidRequest.of("moveTo", "must not be the category itself, nor below it")
    if into.type != gone.type:
        raise InvalidRequest.of("moveTo", f"must be a category of the type {gone.type}")
    return into


def place(category: Category) -> tuple[int, int, str, str]:
    """In lists: by type, order and name."""
    by_type = CATEGORY_TYPES.index(category.type)
    return by_type, category.order, category.name.casefold(), category.id
