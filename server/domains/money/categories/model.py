"""Categories."""

import msgspec
from finlink_words import CategoryType

from server.core.model import Id, Model


class CategoryFields(Model, frozen=True):
    """The fields of a category that callers change."""

    name: str
    type: CategoryType
    parent_id: str | None = None
    icon: str | None = None
    color: str | None = None
    order: int = 0
    archived: bool = False


class Category(CategoryFields, frozen=True, kw_only=True):
    id: str
    rev: int  # of the owner's ledger, when it was last changed

    @property
    def etag(self) -> str:
        return str(self.rev)


class NewCategory(Model, frozen=True):
    """A category to be created, as the caller gave it. Without `order` it comes after all others."""

    name: str
    type: CategoryType
    parent_id: str | None = None
    icon: str | None = None
    color: str | None = None
    order: int | None = None


class Texts(msgspec.Struct, array_like=True):
    """The sealed part: texts of a person."""

    name: str
    icon: str | None
    color: str | None


class StoredCategory(Model, frozen=True):
    id: Id
    owner: Id
    type: CategoryType
    order: int
    archived: bool
    rev: int
    name_token: bytes
    sealed: bytes
    parent_id: Id | None = None
