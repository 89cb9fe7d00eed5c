"""The writes of a run for a batch of items, beside the documents that there are; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any

from server.domains.connectors.records.boxes import RecordBox
from server.domains.connectors.records.documents import record_document
from server.platforms.records import Item, Profile, Trade, Transaction
from server.storage.driver import Document

HAPPENED = (Transaction, Trade)  # what stays as it was first seen
POSTED_TYPE = "transactions"  # the data type whose records are taken over by the money domain
UNPOSTED = "unposted"  # the mark of records that nobody has taken yet


@dataclass(frozen=True, slots=True)
class Update:
    id: Any
    fields: Document
    removed: Sequence[str] = ()  # fields that go

    @property
    def change(self) -> Document:
        removed = {"$unset": dict.fromkeys(self.removed, "")} if self.removed else {}
        return {"$set": self.fields, **removed}


@dataclass(slots=True)
class Writes:
    inserts: list[Document] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    seen: list[Any] = field(default_factory=list)  # ids of documents that nothing else changes
    unposted: list[Any] = field(
        default_factory=list
    )  # the same of those that get the mark of new ones
    removed: list[Any] = field(default_factory=list)  # ids of documents that are there twice

    @property
    def posted_later(self) -> int:
        """How many have the mark of new ones after this."""
        marked = sum(bool(each.fields.get(UNPOSTED)) for each in self.updates)
        return len(self.inserts) + len(self.unposted) + marked


@dataclass(frozen=True, slots=True)
class Batch:
    """The circumstances of some items that a run fetched."""

    box: RecordBox
    data_type: str
    run: str
    now: datetime
    in_part: bool  # the items are not all there is, nor is all said about them

    def writes(self, items: Sequence[Item], found: Sequence[Document]) -> Writes:
        """`found`: the documents of these items, in either form.

        Transactions and trades stay as they were first seen, but a trade gains what was not known then;
        holdings and the profile are updated. `updatedAt` moves only where something changed, being closed
        included.
        """
        written = Writes()
        rows = self._rows_of(found, written)
        for item in items:
            token = self.box.token(self.data_type, item.key)
            row = rows.get(token)
            if row is None:
                row = rows[token] = _Row(token, None)
            self._take(row, item)
        for row in rows.values():
            if row.item is not None:
                self._write(row, row.item, written)
        return written

    def _rows_of(self, found: Sequence[Document], written: Writes) -> dict[bytes, _Row]:
        """Of an item that is there in both forms the sealed one stays."""
        rows = {
            bytes(each["key"]): _Row(bytes(each["key"]), each) for each in found if _is_sealed(each)
        }
        for each in found:
            if _is_sealed(each):
                continue
            token = self.box.token(self.data_type, each["key"])
            if token in rows:
                written.removed.append(each["_id"])
            else:
                rows[token] = _Row(token, each)
        return rows

    def _take(self, row: _Row, item: Item) -> None:
        """The row's content after this item, which the batch may have twice."""
        row.item = row.item or item
        fetched = record_document(item.record)
        if isinstance(item.record, Transaction):
            if row.is_new and row.data is None:
                row.data = fetched
            return
        if row.data is None and row.mac is not None and row.mac == self.box.mac(fetched):
            return  # as most: it need not be opened for that
        before = row.data
        if before is None and row.document is not None:
            before = self.box.data_of(row.document)
        row.data = self._merged(before, fetched, item)
        row.changed = row.changed or row.data != before

    def _merged(self, before: Document | None, fetched: Document, item: Item) -> Document:
        if isinstance(item.record, Trade):
            return {**fetched, **(before or {})}
        if self.in_part and isinstance(item.record, Profile):
            known = {name: value for name, value in fetched.items() if value != []}
            return {**(before or {}), **known}
        return fetched

    def _write(self, row: _Row, item: Item, written: Writes) -> None:
        document = row.document
        if document is None:
            written.inserts.append(self._new(row, item))
            return
        plain = not _is_sealed(document)
        opened = "closedAt" in document and not isinstance(item.record, HAPPENED)
        changed = opened or (row.changed and not row.is_new)
        # An earlier release has stored it, and nobody knows of it yet.
        unposted = self.data_type == POSTED_TYPE and UNPOSTED not in document
        if not (plain or changed):
            (written.unposted if unposted else written.seen).append(document["_id"])
            return
        fields: Document = {"seen": self.run, **({UNPOSTED: True} if unposted else {})}
        if plain or row.changed:
            data = row.data if row.data is not None else self.box.data_of(document)
            fields |= self.box.sealed(
                row.token, item.key, data, compared=is_compared(self.data_type)
            )
        if changed:
            fields["updatedAt"] = self.now
        removed = (["closedAt"] if opened else []) + (["data"] if plain else [])
        written.updates.append(Update(document["_id"], fields, removed))

    def _new(self, row: _Row, item: Item) -> Document:
        unposted = {UNPOSTED: True} if self.data_type == POSTED_TYPE else {}
        return {
            "connectorId": self.box.records_id,
            "dataType": self.data_type,
            "at": ordered_by(item, self.now),
            "addedAt": self.now,
            "addedBy": self.run,
            "updatedAt": self.now,
            "seen": self.run,
            **unposted,
            **self.box.sealed(
                row.token, item.key, row.data or {}, compared=is_compared(self.data_type)
            ),
        }


@dataclass(slots=True)
class _Row:
    """An item's document, if there is one, and what the batch says about it."""

    token: bytes
    document: Document | None
    item: Item | None = None  # the first of the batch
    data: Document | None = None  # None: as in the document
    changed: bool = False

    @property
    def is_new(self) -> bool:
        return self.document is None

    @property
    def mac(self) -> bytes | None:
        mac = self.document.get("mac") if self.document else None
        return bytes(mac) if mac else None


def is_compared(data_type: str) -> bool:
    """Whether records of this type may change, so that runs compare what they fetch with what is there."""
    return data_type != "transactions"


def ordered_by(item: Item, now: datetime) -> datetime:
    """A time that never changes for an item: its own where it has one, else when it was first seen."""
    record = item.record
    if isinstance(record, Trade) and record.time is not None:
        return record.time
    if isinstance(record, Transaction | Trade) and record.date is not None:
        return datetime.combine(record.date, time(), UTC)
    return now


def _is_sealed(document: Mapping[str, Any]) -> bool:
    return "sealed" in document or not isinstance(document["key"], str)
