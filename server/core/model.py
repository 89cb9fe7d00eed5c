"""The base of what domains are about: immutable values that a store can read and write.

A field is `snake_case` here and `camelCase` in documents, `id` is `_id`; nothing else is renamed. A field
that may be missing has a default; None is never stored.
"""

from typing import Annotated, TypeAlias

import msgspec

# 24 hexadecimal digits, stored as MongoDB's ObjectId.
Id: TypeAlias = Annotated[str, msgspec.Meta(description="ObjectId")]
# A change of stored fields by their path in the document: a value, or None to remove the field.
Changes: TypeAlias = dict[str, object]


def document_name(field: str) -> str:
    """The name in documents of a field: `_id` for `id`, `dateOfBirth` for `date_of_birth`."""
    if field == "id":
        return "_id"
    first, *others = field.split("_")
    return first + "".join(map(str.capitalize, others))


class Model(msgspec.Struct, frozen=True, rename=document_name):
    """Subclasses say `frozen=True` again, for the type checker."""
