"""Categories as they are stored: what a person wrote is sealed."""

from server.domains.money.categories.model import Category, StoredCategory, Texts
from server.security.sealed_box import SealedBox

_PLACE = "categories"


def opened(stored: StoredCategory, box: SealedBox) -> Category:
    texts = box.open(stored.sealed, Texts, place=f"{_PLACE}/{stored.id}")
    return Category(
        id=stored.id,
        name=texts.name,
        type=stored.type,
        parent_id=stored.parent_id,
        icon=texts.icon,
        color=texts.color,
        order=stored.order,
        archived=stored.archived,
        rev=stored.rev,
    )


def sealed(category: Category, owner: str, box: SealedBox) -> StoredCategory:
    texts = Texts(category.name, category.icon, category.color)
    return StoredCategory(
        id=category.id,
        owner=owner,
        type=category.type,
        parent_id=category.parent_id,
        order=category.order,
        archived=category.archived,
        rev=category.rev,
        name_token=box.token("category name", category.type, category.name.casefold()),
        sealed=box.seal(texts, place=f"{_PLACE}/{category.id}"),
    )
