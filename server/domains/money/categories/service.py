"""Use cases of categories."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

from msgspec.structs import asdict, replace

from server.core.errors import InvalidRequest
from server.core.etags import check_etag
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.core.model import Changes, changed
from server.domains.money.categories.documents import opened, sealed
from server.domains.money.categories.errors import CategoryExists, CategoryInUse, CategoryNotFound
from server.domains.money.categories.model import Category, NewCategory, StoredCategory
from server.domains.money.categories.store import CategoryStore
from server.domains.money.categories.tree import below, check_parent, found, place, successor
from server.domains.money.errors import LimitReached
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.ledger.changes import MoneyChanges
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.sealing.service import MoneyKeys
from server.kernel import Exported, Users
from server.storage.driver import ClientSession
from server.storage.repository import new_id

MAX_CATEGORIES = 500
MAX_MERGED = 2_000  # deleted categories that stand for others, for as long as the user is there
NONE = "none"  # takes the place of a deleted category
_LAST_PLACE = 9_999


class CategoryUses(Protocol):
    """Another part of the domain that names categories, beside transactions."""

    async def count(
        self, owner: str, category_id: str, session: ClientSession
    ) -> Mapping[str, int]:
        """How many use it, by what they are."""

    async def follow(self, change: LedgerChange) -> None:
        """Name what categories that are merged in this change stand for, in their place."""


class CategoryService:
    def __init__(
        self,
        changes: MoneyChanges,
        keys: MoneyKeys,
        store: CategoryStore,
        users: Users,
        uses: Sequence[CategoryUses] = (),
    ) -> None:
        self._changes = changes
        self._keys = keys
        self._store = store
        self._users = users
        self._uses = uses

    async def list(
        self, owner: MoneyOwner, of_type: str | None = None, *, archived: bool = False
    ) -> Sequence[Category]:
        """Those of a type, or all; archived ones, or the others. A new user gets the usual ones first."""
        known = await self._all(owner.id)
        if not known:
            await self._changes.start(owner)
            known = await self._all(owner.id)
        return [
            each for each in known if each.archived == archived and of_type in {None, each.type}
        ]

    async def _all(self, owner: str) -> Sequence[Category]:
        known = await self._store.of(owner)
        if not known:
            return []
        box = await self._keys.of(owner)
        return sorted((opened(each, box) for each in known), key=place)

    async def get(self, owner: MoneyOwner, category_id: str) -> Category:
        """Raises CategoryNotFound."""
        known = await self._store.of(owner.id, ids=[category_id])
        if not known:
            raise CategoryNotFound
        return opened(known[0], await self._keys.of(owner.id))

    async def create(
        self, owner: MoneyOwner, new: NewCategory, reply: KeyedReply | None = None
    ) -> Category:
        """Raises CategoryNotFound for the parent, CategoryExists, LimitReached, InvalidRequest."""

        async def work(change: LedgerChange) -> Category:
            known = await self._store.of(owner.id, change.session)
            if len(known) >= MAX_CATEGORIES:
                raise LimitReached.of(MAX_CATEGORIES)
            given = asdict(new)
            if new.order is None:
                last = max((each.order for each in known), default=0)
                given["order"] = min(last + 1, _LAST_PLACE)
            category = Category(id=new_id(), rev=change.rev, **given)
            check_parent(known, category)
            await self._store.insert([sealed(category, owner.id, change.box)], change.session)
            return category

        event = Event("category.created", owner.user_id)
        return await self._changes.make(owner, work, lambda _: event, reply)

    async def update(
        self,
        owner: MoneyOwner,
        category_id: str,
        changes: Changes,
        etag: str | None = None,
        reply: KeyedReply | None = None,
    ) -> Category:
        """Apply changes of fields.

        Raises CategoryNotFound, also for the parent, CategoryExists, EtagMismatch, InvalidRequest.
        """

        async def work(change: LedgerChange) -> Category:
            known = await self._store.of(owner.id, change.session)
            before = opened(found(known, category_id), change.box)
            check_etag(etag, before.etag)
            after = replace(changed(before, changes), rev=change.rev)
            if after.type != before.type and await self._count(change, before.id, known):
                raise InvalidRequest.of("type", "is fixed once the category is used")
            check_parent(known, after)
            await self._store.replace(sealed(after, owner.id, change.box), change.session)
            return after

        event = Event("category.updated", owner.user_id, fields=sorted(changes))
        return await self._changes.make(owner, work, lambda _: event, reply)

    async def delete(
        self,
        owner: MoneyOwner,
        category_id: str,
        move_to: str | None = None,
        etag: str | None = None,
        reply: KeyedReply | None = None,
    ) -> None:
        """Delete a category; `move_to`, an id or NONE, takes its place everywhere at once.

        Raises CategoryNotFound, CategoryInUse, CategoryExists where one below it meets one of its name,
        LimitReached, EtagMismatch, InvalidRequest.
        """

        async def work(change: LedgerChange) -> bool:
            known = await self._store.of(owner.id, change.session)
            gone = found(known, category_id)
            check_etag(etag, str(gone.rev))
            if move_to is None and (counts := await self._count(change, gone.id, known)):
                raise CategoryInUse(metadata={name: str(each) for name, each in counts.items()})
            # First, since one below it may have its name and come to its level.
            await self._store.remove(gone, change.session)
            if move_to is not None:
                await self._merge(change, known, gone, move_to)
            return True

        event = Event("category.deleted", owner.user_id)
        await self._changes.make(owner, work, lambda _: event, reply)

    async def export(self, user_id: str) -> AsyncGenerator[Exported, None]:
        """All categories of a user, for the user's export."""
        for each in await self._all(await self._users.identity(user_id)):
            yield "category", each

    async def _count(
        self, change: LedgerChange, category_id: str, known: Sequence[StoredCategory]
    ) -> dict[str, int]:
        """By what a category is used, and how often; without zeros."""
        counts = {
            "transactions": await change.parts_of([category_id]),
            "children": len(below(known, category_id)),
        }
        for each in self._uses:
            counts |= await each.count(change.owner, category_id, change.session)
        return {name: count for name, count in counts.items() if count}

    async def _merge(
        self,
        change: LedgerChange,
        known: Sequence[StoredCategory],
        gone: StoredCategory,
        move_to: str,
    ) -> None:
        """Have another category, or none, stand for one that is deleted, and take those below it."""
        if change.alias_count >= MAX_MERGED:
            raise LimitReached.of(MAX_MERGED)
        into = None if move_to == NONE else successor(known, gone, move_to)
        change.merge_category(gone.id, into.id if into else None)
        parent_id = (into.parent_id or into.id) if into else None
        for each in below(known, gone.id):
            moved = replace(opened(each, change.box), parent_id=parent_id, rev=change.rev)
            try:
                await self._store.replace(sealed(moved, change.owner, change.box), change.session)
            except CategoryExists:
                raise CategoryExists.about("moveTo") from None
        for uses in self._uses:
            await uses.follow(change)
