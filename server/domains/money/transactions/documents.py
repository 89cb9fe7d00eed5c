"""Transactions as documents and back."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from server.domains.money.transactions import sealed as seal
from server.domains.money.transactions.model import Transaction
from server.domains.money.transactions.sealed import SealedTransaction, sealed_part
from server.security.sealed_box import SealedBox
from server.storage.driver import Document
from server.storage.mapping import object_ids, stored

TRANSACTIONS = "transactions"
# The fields that lists walk by. A deleted transaction has them under `was`.
_PLAIN = (
    "accountId", "date", "kind", "direction", "categoryIds", "tagTokens", "status", "transferId",
    "externalToken",
)  # fmt: skip
# The category that one stands for, itself if it was not merged; None: for none.
Resolved: TypeAlias = Callable[[str], str | None]


def external_token(box: SealedBox, account_id: str, external_id: str) -> bytes:
    return box.token("external id", account_id, external_id)


def tag_token(box: SealedBox, tag: str) -> bytes:
    return box.token("tag", tag.casefold())


def opened_transaction(document: Document, box: SealedBox, resolved: Resolved) -> Transaction:
    """Raises Undecipherable."""
    identifier = str(document["_id"])
    content = open_sealed(document, box)
    categories = [each and resolved(str(each)) for each in document["categoryIds"]]
    parts = tuple(seal.part(each, categories) for each in content.parts or ())
    return Transaction(
        id=identifier,
        owner=str(document["owner"]),
        rev=document["rev"],
        account_id=str(document["accountId"]),
        kind=document["kind"],
        direction=document["direction"],
        units=content.units,
        day=document["date"].date(),
        status=document["status"],
        category_id=categories[0] if categories and not parts else None,
        parts=parts,
        tags=content.tags or (),
        excluded=bool(content.excluded),
        description=content.description,
        payee=content.payee,
        notes=content.notes,
        foreign=content.foreign,
        occurred_at=None if content.occurred_at is None else seal.time_of(content.occurred_at),
        refund_of=seal.hex_of(content.refund_of),
        transfer_id=str(document["transferId"]) if "transferId" in document else None,
        counterpart_id=seal.hex_of(content.counterpart_id),
        origins=seal.origins(content),
        bank_text=content.bank_text,
        external_id=content.external_id,
        created_at=seal.time_of(content.created_at),
        updated_at=seal.time_of(content.updated_at),
    )


def open_sealed(document: Document, box: SealedBox) -> SealedTransaction:
    """Raises Undecipherable."""
    return box.open(document["sealed"], SealedTransaction, place=_place(document["_id"]))


def _place(identifier: Any) -> str:
    return f"{TRANSACTIONS}/{identifier}"


def document_of(transaction: Transaction, box: SealedBox) -> Document:
    t = transaction
    categories = t.categories
    document: Document = {
        "_id": object_ids(t.id),
        "owner": object_ids(t.owner),
        "rev": t.rev,
        "accountId": object_ids(t.account_id),
        "date": stored(t.day),
        "kind": t.kind,
        "direction": t.direction,
        "status": t.status,
        # A merged category is replaced in its place, which parts name it by.
        "categoryIds": object_ids(categories),
    }
    if t.tags:
        document["tagTokens"] = sorted({tag_token(box, tag) for tag in t.tags})
    if t.transfer_id is not None:
        document["transferId"] = object_ids(t.transfer_id)
    if t.external_id is not None:
        document["externalToken"] = external_token(box, t.account_id, t.external_id)
    return {**document, "sealed": box.seal(sealed_part(t, categories), place=_place(t.id))}


def buried(document: Document, at: datetime) -> Document:
    """The same as one that was deleted."""
    was = {name: document.pop(name) for name in _PLAIN if name in document}
    return {**document, "deletedAt": at, "was": was}
